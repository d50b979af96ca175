"""Times as text: what a calendar does not have is no time, and a date alone is local, too."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.files import times_of
from streampca.files.times import Rule, rule_of

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAYS = [(y, m, d) for y in (1900, 1999, 2024, 2026) for m in range(1, 13) for d in range(1, 32)]
FORMS = ["%d.%m.%Y", "%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%F"]


def micros(year, month, day, *clock, zone=dt.UTC):
    """Microseconds of a time; None where no calendar has it."""
    try:
        found = dt.datetime(year, month, day, *clock, tzinfo=zone)
    except ValueError:
        return None
    return (found.astimezone(dt.UTC) - EPOCH) // dt.timedelta(microseconds=1)


def read(texts, rule):
    found, reasons = times_of(pa.array(texts), "time", rule)
    return [None if row in reasons else int(found[row]) for row in range(len(texts))]


def written(form, year, month, day):
    named = {"%F": "%Y-%m-%d"}.get(form, form)
    pairs = {"%Y": f"{year:04d}", "%m": f"{month:02d}", "%d": f"{day:02d}"}
    for sign, text in pairs.items():
        named = named.replace(sign, text)
    return named


@pytest.mark.parametrize("form", FORMS)
def test_days_that_no_month_has_are_no_times(form):
    texts = [written(form, *day) for day in DAYS]
    assert read(texts, Rule(form)) == [micros(*day) for day in DAYS]


@given(
    moment=st.datetimes(dt.datetime(1001, 1, 1), dt.datetime(9998, 1, 1)),
    seconds=st.integers(0, 61),
    padded=st.booleans(),
    blanks=st.sampled_from(["", " "]),
)
@settings(max_examples=200)
def test_seconds_that_no_minute_has_are_no_times(moment, seconds, padded, blanks):
    y, mo, d, h, mi = moment.timetuple()[:5]
    text = f"{d:02}.{mo:02}.{y:04} {h:02}:{mi:02}:{seconds:02}"
    if not padded:
        text = f"{d}.{mo}.{y:04} {h}:{mi}:{seconds}"
    found = read([blanks + text, text + blanks], Rule("%d.%m.%Y %H:%M:%S"))
    assert found == [micros(y, mo, d, h, mi, seconds)] * 2


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%d.%m.%Y", "31.01.26"),
        ("%d.%m.%Y", "31.01.2026 x"),
        ("%Y-%m-%d %H:%M", "2026-01-31 24:00"),
        ("%Y-%m-%d %H:%M", "2026-01-31 10:60"),
        ("%Y%j", "2026366"),
        ("%d %b %Y", "30 Feb 2026"),
    ],
)
def test_what_the_format_does_not_say_is_no_time(form, text):
    assert read([text], Rule(form)) == [None]


def test_the_last_day_of_a_leap_year():
    assert read(["2024366"], Rule("%Y%j")) == [micros(2024, 12, 31)]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("how", ["{}", "{}T00:00", "{} 00:00:00"])
def test_a_date_alone_is_local_as_a_time_is(zone, how):
    days = [day for day in DAYS if micros(*day) is not None]
    texts = [how.format(written("%F", *day)) for day in days]
    assert read(texts, Rule(zone=zone)) == [micros(*day, zone=ZoneInfo(zone)) for day in days]


@pytest.mark.parametrize("kind", [int, str, float])
@pytest.mark.parametrize("wrong", [0, 7, 99])
def test_one_wrong_day_does_not_turn_dates_into_seconds(kind, wrong):
    days = [int(written("%Y%m%d", 2026, 1 + i % 12, 1 + i % 28)) for i in range(100)]
    days[wrong] = 20260230
    values = [kind(day) for day in days]
    rule, said = rule_of(values, None, None, None)
    assert "dates" in said
    found, reasons = times_of(pa.array(values), "time", rule)
    assert list(reasons) == [wrong]
    expected = [micros(2026, 1 + i % 12, 1 + i % 28) for i in range(100)]
    kept = np.arange(100) != wrong
    np.testing.assert_array_equal(found[kept], np.array(expected)[kept])


def test_whole_numbers_of_eight_digits_that_are_few_dates_are_seconds():
    values = np.random.default_rng(0).integers(10**7, 10**8, 200).tolist()
    assert rule_of(values, None, None, None)[0] == Rule(guessed=True)
