"""Events: rules against a second, plain reading of them; streams gone on with; sensors to blame."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import StreamingPCA
from streampca.monitor import Event, Events, Levels, Monitor, Rules, Scored, Watch

LEVELS = Levels(spe=1.0, t2=10.0, mean_spe=0.3, mean_t2=3.0)


def scored(i, spe, t2=0.0, sensors=("oil", "air"), shares=(0.7, 0.3)):
    return Scored("press 4", i, 10 * i, spe, t2, LEVELS, spe > 1, "spe", sensors, shares)


def told(values, rules):
    events = Events(rules)
    found = [event for i, value in enumerate(values) for event in events.add(scored(i, value))]
    return found, events.finish()


def plainly(b, rules):
    """The rules, read off a complete series: (start, end, rows, out, peak, over)."""
    found, since, i = [], 0, 0
    while i < len(b):
        window = [j for j in range(max(since, i - rules.n + 1), i + 1) if b[j] > 1]
        if b[i] <= 1 or len(window) < rules.k:
            i += 1
            continue
        start, last, calm, j = window[0], i, 0, i + 1
        while j < len(b) and calm < rules.hold_off:
            calm = 0 if b[j] > rules.release else calm + 1
            last = j if b[j] > rules.release else last
            j += 1
        out = [t for t in range(start, last + 1) if b[t] > 1]
        peak = max(b[t] for t in out)
        found.append((start, last, last - start + 1, len(out), peak, calm >= rules.hold_off))
        since = i = j
    return found


RULES = st.builds(
    lambda n, k, hold_off, release: Rules(k=min(k, n), n=n, hold_off=hold_off, release=release),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from([1.0, 0.8, 0.3]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([0.1, 0.5, 0.9, 1.0, 1.5, 4.0]), max_size=60), RULES)
def test_events_are_what_the_rules_say(values, rules):
    found, rest = told(values, rules)
    closed = [event for event in found if event.is_over]
    same = [(e.start, e.end, e.n_rows, e.n_out, e.peak, e.is_over) for e in closed + rest]
    assert same == plainly(values, rules)
    opened = [event for event in found if not event.is_over]
    assert [e.start for e in opened] == [e.start for e in closed + rest]  # each is told twice
    for event in closed + rest:
        assert event.peak == values[event.peak_row]
        assert (event.start_time, event.end_time) == (10 * event.start, 10 * event.end)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([0.1, 0.9, 1.5, 4.0]), min_size=1, max_size=40),
    RULES,
    st.sampled_from([None, 0.3]),
    st.data(),
)
def test_a_stream_is_gone_on_with_anywhere(values, rules, ewma, data):
    rules = Rules(**rules.as_dict() | ({} if ewma is None else {"ewma": ewma}))
    cut = data.draw(st.integers(0, len(values)))
    one = Events(rules)
    before = [e for i, v in enumerate(values[:cut]) for e in one.add(scored(i, v))]
    other = Events(rules, state=json.loads(json.dumps(one.state(), allow_nan=False)))
    after = [e for i, v in enumerate(values[cut:], start=cut) for e in other.add(scored(i, v))]
    found, rest = told(values, rules)
    assert before + after == found
    assert other.finish() == rest


def test_the_running_mean_starts_at_what_is_usual_and_is_held_against_its_own_limit():
    rules = Rules(ewma=0.25)
    values = [0.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    means, mean = [], LEVELS.mean_spe
    for value in values:
        mean += 0.25 * (value - mean)
        means.append(mean)
    found, (last,) = told(values, rules)
    first = next(i for i, mean in enumerate(means) if mean > 1)
    assert (found[0].start, last.peak) == (first, pytest.approx(means[-1]))


def test_one_infinite_row_does_not_stay_in_the_running_mean_as_infinity():
    events = Events(Rules(ewma=0.5, hold_off=3))
    events.add(scored(0, np.inf))
    json.dumps(events.state(), allow_nan=False)
    assert events.is_open


def test_sensors_are_blamed_by_their_mean_part_over_the_rows_that_were_out():
    events = Events(Rules(), n_sensors=2)
    events.add(scored(0, 5.0, sensors=("oil", "air"), shares=(0.6, 0.4)))
    events.add(scored(1, 0.5, sensors=("heat",), shares=(1.0,)))
    (ended,) = Events(Rules(hold_off=1), state=None).add(scored(0, 2.0))
    assert ended.sensors == ("oil", "air")
    events = Events(Rules(hold_off=2), n_sensors=2)
    for i, (spe, shares) in enumerate([(5.0, (0.9, 0.1)), (0.5, (0.0, 1.0)), (3.0, (0.2, 0.8))]):
        events.add(scored(i, spe, shares=shares))
    (event,) = events.finish()
    assert event.sensors == ("oil", "air")
    assert event.shares == pytest.approx((0.55, 0.45))  # the calm row between says nothing


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("k=3", "k=3 of n=1 rows can never be: give n of at least 3"),
        ({"k": 0}, "k=0 is not accepted"),
        ({"k": True}, "k=True is not accepted"),
        ({"n": 2.5}, "n=2.5 is not accepted"),
        ({"hold_of": 3}, "there is no 'hold_of'; did you mean hold_off"),
        ({"release": 1.5}, "release=1.5 is not accepted"),
        ({"release": 0}, "release=0 is not accepted"),
        ({"ewma": 0.0}, "ewma=0.0 is not accepted"),
        ({"confidence": 1}, "confidence=1 is not accepted"),
        ({"confidence": "high"}, "confidence='high' is not accepted"),
        ({"method": "guess"}, "method='guess' is not accepted"),
        ({"limits": {"a": {"q": 1}}}, "limits of 'a'"),
        ({"limits": {"a": {"spe": -1}}}, "limits of 'a': spe=-1 is not accepted"),
        ({"limits": [1]}, r"limits=\[1\] is not accepted"),
        ("k=3 of 5", "k='3 of 5' is not accepted"),
        ("k", "'k' is no rule; write k=3, n=5"),
        ("k=1, k=2", "k is given twice"),
        ("absent.json", "absent.json cannot be read"),
        (5, "rules=5 are not accepted"),
    ],
    ids=str,
)
def test_a_rule_that_is_none_is_named(given_, message):
    with pytest.raises(ValueError, match=message):
        Rules.read(given_)


@given(RULES, st.sampled_from([None, 0.2]), st.sampled_from(["theory", "empirical"]))
def test_rules_are_data(rules, ewma, method):
    more = {"ewma": ewma, "method": method, "limits": {"press 4": {"spe": 2.0}}}
    full = Rules(**rules.as_dict() | more)
    assert Rules.read(json.loads(json.dumps(full.as_dict()))) == full
    assert Rules.read(full) is full
    text = ", ".join(f"{k}={v}" for k, v in rules.as_dict().items())
    assert Rules.read(text) == rules


def test_rules_of_a_file(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text('{"k": 2, "n": 3}')
    assert Rules.read(str(path)) == Rules(k=2, n=3)


# --- watched rows ------------------------------------------------------------------------------


def process(m, seed, n=6):
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(2, n))
    return rng.normal(size=(m, 2)) @ mix + 0.2 * rng.normal(size=(m, n))


MODEL = StreamingPCA(2, scale=True).fit(process(2000, 0))


@pytest.mark.parametrize("ewma", [None, 0.1, 0.3])
@pytest.mark.parametrize("method", ["theory", "empirical"])
def test_limits_of_rows_and_of_running_means_let_normal_rows_pass(ewma, method):
    rules = Rules(confidence=0.99, ewma=ewma, method=method)
    monitor = Monitor(MODEL).calibrate(process(20_000, 1), ewma=ewma)
    watch = Watch(monitor, rules)
    events = watch.add(process(20_000, 2))
    out = sum(event.n_out for event in events if event.is_over)
    assert 0.002 * 20_000 < out < 0.035 * 20_000  # two statistics, each at 1 %


def test_a_small_shift_that_lasts_is_seen_by_running_means_sooner_than_by_rows():
    rows = process(600, 3)
    rows[300:, 4] += 1.5
    out = {}
    for text in ("confidence=0.999", "confidence=0.999, ewma=0.1"):
        parts = (Watch(MODEL, text), rows[:300]), (Watch(MODEL, text), rows[300:])
        found = [w.add(X) + w.finish() for w, X in parts]
        out[text] = [sum(e.n_out for e in each if e.is_over) for each in found]
        last = found[1][-1]
        out[text][1] += 0 if last.is_over else last.n_out
    by_rows, by_means = out.values()
    assert max(by_rows[0], by_means[0]) <= 6
    assert by_means[1] > 250 > 10 * by_rows[1]
    events = Watch(MODEL, "confidence=0.999, ewma=0.1").add(rows)
    assert max(events, key=lambda e: e.peak).sensors[0] == "feature 4"


@pytest.mark.parametrize("pieces", [1, 7, 400])
def test_pieces_of_a_stream_give_the_same_events_and_scores(pieces):
    rows = process(400, 5)
    rows[100:160, 1] += 3.0
    times = np.datetime64("2026-01-01T00:00") + np.arange(400).astype("timedelta64[m]")
    watch = Watch(MODEL, "k=2, n=3, hold_off=5", key="press 4")
    found = []
    for X, t in zip(np.array_split(rows, pieces), np.array_split(times, pieces), strict=True):
        watch = Watch(MODEL, "k=2, n=3, hold_off=5", key="press 4", state=watch.state())
        found += watch.add(X, t)
    whole = Watch(MODEL, "k=2, n=3, hold_off=5", key="press 4").add(rows, times)
    assert list(map(rounded, found)) == list(map(rounded, whole))
    event = max(whole, key=lambda e: e.n_rows)
    assert event.sensors[0] == "feature 1"
    assert 100 <= event.start <= 102
    assert event.start_time == 60_000_000 * event.start + 1_767_225_600_000_000
    events = Events(Rules(k=2, n=3, hold_off=5))
    by_scores = [
        e
        for i, row in enumerate(Watch(MODEL, key="press 4").score(rows, times))
        for e in events.add(row._replace(row=i))
    ]
    assert list(map(rounded, by_scores)) == list(map(rounded, whole))


def rounded(event):
    """Products of one row and of many differ in their last bits."""
    numbers = {"peak": round(event.peak, 9), "shares": tuple(round(s, 9) for s in event.shares)}
    return event.as_dict() | numbers


def test_limits_of_a_key_replace_those_of_the_model():
    rules = {"limits": {"press 4": {"spe": 1e9}, "7": {"spe": 1e-9}}}
    rows = process(50, 6)
    rows[10:20, 0] += 5
    assert Watch(MODEL, rules, key="press 4").levels.spe == 1e9
    assert Watch(MODEL, rules, key=7).levels.spe == 1e-9
    one = Watch(MODEL, rules, key="other")
    assert one.levels == Watch(MODEL).levels
    assert one.levels.t2 == Watch(MODEL, rules, key=7).levels.t2


def test_rows_that_cannot_be_used_leave_the_watch_as_it_was():
    watch = Watch(MODEL)
    watch.add(process(10, 7))
    before = watch.state()
    bad = process(3, 8)
    bad[1, 2] = np.nan
    with pytest.raises(ValueError, match="row 1"):
        watch.add(bad)
    with pytest.raises(ValueError, match="one for each of 3 rows"):
        watch.add(process(3, 8), times=[1, 2])
    assert watch.state() == before


def test_an_event_is_json():
    rows = process(50, 6)
    rows[10:20, 0] += 5
    for event in Watch(MODEL, key=4).add(rows):
        assert (
            Event(**json.loads(json.dumps(event.as_dict(), allow_nan=False))).start == event.start
        )


def test_times_are_taken_as_notebooks_have_them():
    X = process(40, 3)
    X[20:30] += 40
    base = pd.date_range("2026-01-01", periods=40, freq="min", tz="Europe/Berlin")
    utc = base.tz_convert("UTC")
    ways = {
        "micros": utc.tz_localize(None).to_numpy().astype("datetime64[us]").astype("int64"),
        "datetime64": utc.tz_localize(None).to_numpy(),
        "aware": base,
        "series": pd.Series(base),
        "datetimes": base.to_pydatetime(),
        "list": list(base.to_pydatetime()),
        "naive datetimes": list(utc.tz_localize(None).to_pydatetime()),
        "text": [each.isoformat() for each in base],
    }
    found = {way: Watch(MODEL).add(X, times)[0].start_time for way, times in ways.items()}
    assert len(set(found.values())) == 1, found
    assert min(found.values()) >= ways["micros"][0]
    with pytest.raises(ValueError, match="time 'noon' is not accepted"):
        Watch(MODEL).add(X[:2], ["noon", "later"])
    with pytest.raises(ValueError, match="one for each of 3 rows"):
        Watch(MODEL).add(X[:3], ["2026-01-01"])


def test_watches_and_monitors_say_what_they_are_of():
    watch = Watch(MODEL, "k=2, n=3", key="press 4")
    watch.add(process(7, 3))
    text = repr(watch)
    assert text.startswith("Watch(Monitor(<model of ")
    assert "Rules(k=2, n=3), key='press 4')  # after 7 rows" in text
