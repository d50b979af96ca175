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


def keyed(write, cli, rows):
    """A store of a model for each of three presses, and the file that they were learned from."""
    press = [f"p{i % 3}" for i in range(600)]
    path = write("keyed.csv", rows[:600], press=press)
    cli("fit", path, "--key-column", "press", "-n", 2, "-o", "keyed", "-q")
    return path


@pytest.mark.parametrize("kind", ["scree", "drift", "acs", "control", "scores"])
def test_of_many_keys_one_is_chosen(cli, write, rows, kind):
    path = keyed(write, cli, rows)
    files = [path] if kind in ("control", "scores") else []
    given = ["plot", kind, "keyed", *files, "-o", "k.png"]
    assert "choose one with --key: p0, p1, p2" in cli(*given, code=2).err
    assert "it has p0, p1, p2" in cli(*given, "--key", "p9", code=2).err
    cli(*given, "--key", "p1")


def test_rows_of_the_key_alone_are_drawn(cli, write, rows, drawn):
    path = keyed(write, cli, rows)
    given = ["plot", "control", "keyed", path, "-o", "k.png", "--key", "p1"]
    cli(*given, "--key-column", "press")
    assert drawn[0].axes[0].lines[0].get_xdata().tolist() == list(range(1, 600, 3))
    other = write("other.csv", rows[:20], press=["p0"] * 20)
    given[3] = other
    assert "no row of key 'p1'" in cli(*given, "--key-column", "press", code=2).err


def test_the_chart_says_where_its_limits_come_from(cli, watched, drawn):
    for _ in range(2):
        cli("plot", "control", "store", "second.csv", "-o", "c.png")
        cli("calibrate", "store", "calm.csv")
    given = ["plot", "control", "store", "second.csv", "-o", "c.png"]
    cli(*given, "--rules", "method=theory")
    titles = [[axes.get_title(loc="left") for axes in figure.axes] for figure in drawn]
    assert ["by theory:" in titles[i][0] for i in range(3)] == [
        True,
        False,
        True,
    ]
    assert "by theory:" in titles[0][1]
    assert "from 600 normal rows" in titles[1][0]


@pytest.mark.parametrize("kind", ["scores", "course", "biplot"])
def test_pictures_of_two_components_need_two(cli, watched, write, rows, kind):
    given = ["plot", kind, "store", "second.csv", "-o", "c.png"]
    assert f"{kind} draws two components, and the model has one" in cli(*given, code=2).err
    cli("fit", write("a.csv", rows), "-n", 3, "-o", "three", "-q")
    given[2:4] = ["three", "a.csv"]
    assert "--n-components 1" in cli(*given, "-n", 1, code=2).err
    assert "the model has 3 components" in cli(*given, "-n", 9, code=2).err
    cli(*given, "-n", 2)


def test_components_to_use_reach_the_chart(cli, write, rows, drawn):
    cli("fit", write("a.csv", rows), "-n", 3, "-o", "three", "-q")
    given = ["plot", "control", "three", "a.csv", "-o", "c.png"]
    for n in (1, 2):
        cli(*given, "-n", n)
    first, second = (figure.axes[0].lines[0].get_ydata() for figure in drawn)
    assert (first > second).all()  # what fewer components leave out is more
