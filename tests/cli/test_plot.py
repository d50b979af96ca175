"""streampca plot: what is drawn of rows, and where on the axes it stands."""

import numpy as np
import pytest

from streampca import plots


@pytest.fixture
def watched(cli, write):
    """A store of normal rows of four sensors, and files with one of them off for a while."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 1)) @ np.ones((1, 4)) + 0.2 * rng.normal(size=(4000, 4))
    X[3000:3040, 2] += 3.0
    times = [f"2026-01-01T{i // 60:02d}:{i % 60:02d}:00" for i in range(1000)]
    write("normal.csv", X[:2000])
    write("calm.csv", X[2000:2600])
    write("first.csv", X[2700:2900], time=times[:200])
    write("second.csv", X[2900:3700], time=times[200:])
    cli("fit", "normal.csv", "-n", 1, "-o", "store", "-q")


@pytest.fixture
def drawn(monkeypatch):
    """Figures, as they are drawn."""
    found = []
    for name in ("plot_event", "plot_control", "plot_scores"):
        draw = getattr(plots, name)

        def keep(*args, draw=draw, **how):
            found.append(draw(*args, **how))
            return found[-1]

        monkeypatch.setattr(plots, name, keep)
    return found


def event(cli, *more):
    rules = ["--k-of-n", "3/5", "--hold-off", 5]
    return cli("plot", "event", "store", "second.csv", "-o", "e.png", *rules, *more)


def test_the_worst_event_is_drawn_with_the_rows_of_the_file(cli, watched, drawn):
    event(cli, "--title", "Heat")
    bars, heat = drawn[0].axes
    assert bars.get_yticklabels()[0].get_text() == "heat"
    assert bars.get_title(loc="left").splitlines() == ["Heat", "mean of 40 rows"]
    assert [line.get_xdata()[0] for line in heat.lines] == [99.5, 139.5]
    assert heat.get_xlabel() == "row"
    event(cli, "--last", 750)  # the first 50 are not drawn: numbers stay the file's
    assert [line.get_xdata()[0] for line in drawn[1].axes[1].lines] == [99.5, 139.5]


def test_times_are_those_of_the_file(cli, watched, drawn):
    event(cli, "--timestamp-column", "time")
    first, last = (line.get_xdata()[0] for line in drawn[0].axes[1].lines)
    day = np.datetime64("2026-01-01").astype("datetime64[D]").astype(float)
    minutes = [(place - day) * 24 * 60 for place in (first, last)]
    np.testing.assert_allclose(minutes, [299.5, 339.5], atol=0.01)
    cli("plot", "control", "store", "second.csv", "-o", "c.svg", "--timestamp-column", "time")
    assert drawn[1].axes[1].get_xlabel() == "time (UTC)"


def test_rows_are_counted_on_over_files(cli, watched, drawn):
    cli("plot", "control", "store", "first.csv", "second.csv", "-o", "c.png", "--last", 900)
    x = drawn[0].axes[0].lines[0].get_xdata()
    assert (x[0], x[-1]) == (100, 999)
    cli("fit", "normal.csv", "-n", 2, "-o", "two", "-q")
    cli("plot", "course", "two", "second.csv", "-o", "s.png", "--last", 50)
    assert drawn[1].axes[0].collections[0].get_array()[0] == 750


def test_limits_are_those_that_the_model_holds(cli, watched, drawn):
    cli("plot", "control", "store", "second.csv", "-o", "c.png")
    cli("calibrate", "store", "calm.csv")
    cli("plot", "control", "store", "second.csv", "-o", "c.png")
    theory, own = (figure.axes[0].lines[3].get_ydata()[0] for figure in drawn)
    limits = cli("score", "store", "second.csv", "--json").json["limits"][0]
    assert own == limits["spe"] != theory


def test_without_an_event_there_is_no_picture(cli, watched):
    err = cli("plot", "event", "store", "calm.csv", "-o", "e.png", "--k-of-n", 9, code=2).err
    assert "there is no event in these 600 rows" in err
