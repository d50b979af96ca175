"""Pictures in notebooks and in figures of one's own; biplots, events, courses, the elbow."""

import io

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from plotted import NAMES, TIMES, named, rows

from streampca import StreamingPCA, plots
from streampca.monitor import Monitor, Watch
from streampca.plots.style import shorten, shortened

PICTURES = {
    "scree": (1, lambda m, **how: plots.plot_scree(m, **how)),
    "elbow": (1, lambda m, **how: plots.plot_scree(m, parallel=True, **how)),
    "loadings": (1, lambda m, **how: plots.plot_loadings(m, **how)),
    "components": (2, lambda m, **how: plots.plot_components([m, m], **how)),
    "scores": (1, lambda m, **how: plots.plot_scores(m, rows(), groups=np.arange(300) % 2, **how)),
    "course": (1, lambda m, **how: plots.plot_scores(m, rows(), times=TIMES, **how)),
    "control": (2, lambda m, **how: plots.plot_control(m, rows(), **how)),
    "contributions": (1, lambda m, **how: plots.plot_contributions(m, rows(1)[0], **how)),
    "acs": (1, lambda m, **how: plots.plot_acs(m, m, **how)),
    "biplot": (1, lambda m, **how: plots.plot_biplot(m, rows(), **how)),
    "event": (2, lambda m, **how: plots.plot_event(m, rows(50), **how)),
}
each = pytest.mark.parametrize("name", PICTURES)


@each
def test_a_notebook_shows_a_figure_by_itself(model, name):
    figure = PICTURES[name][1](model, figsize=(4, 3))
    png, how = figure._repr_png_()
    picture = Image.open(io.BytesIO(png))
    assert (how["width"], how["height"]) == (384, 288)
    assert picture.size == (640, 480)
    assert np.asarray(picture.convert("L")).min() < 80


def test_ipython_takes_it():
    formatters = pytest.importorskip("IPython.core.formatters")
    made = plots.plot_scree(StreamingPCA(2).fit(rows()))
    data, metadata = formatters.DisplayFormatter().format(made)
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] == 480


@each
def test_a_title_stands_above_what_the_picture_says(model, name):
    _, draw = PICTURES[name]
    plain = draw(model).axes[0].get_title(loc="left")
    titled = draw(model, title="Press 4").axes[0].get_title(loc="left")
    assert titled == (f"Press 4\n{plain}" if plain else "Press 4")


@each
def test_it_is_drawn_into_axes_of_a_figure_of_ones_own(model, name):
    count, draw = PICTURES[name]
    own = Figure()
    axes = own.subplots(1, count + 1, squeeze=False)[0]
    found = draw(model, ax=axes[0] if count == 1 else axes[:count])
    assert found is own
    assert all(panel.has_data() or panel.images for panel in axes[:count])
    assert not axes[count].has_data()
    own.savefig(io.BytesIO())
    with pytest.raises(ValueError, match="give it or ax"):
        draw(model, ax=axes[0] if count == 1 else axes[:count], figsize=(3, 3))
    for wrong in (axes, "axes", own):
        with pytest.raises(ValueError, match=r"ax=.* is not accepted: give .*matplotlib Axes"):
            draw(model, ax=wrong)


# --- names ----------------------------------------------------------------------------------------


def test_names_are_cut_in_the_middle():
    assert shorten("short") == "short"
    assert shorten("unit_07_temperature_outlet") == "unit_07_…_outlet"
    assert len(shorten("x" * 99)) == 16


NAME = st.text("ab_", min_size=1, max_size=60)


@given(st.lists(NAME, unique=True, max_size=8))
def test_names_that_differ_stay_different(names):
    found = shortened(names)
    assert len(set(found)) == len(names)
    for name, text in zip(names, found, strict=True):
        assert len(text) <= 16 or len(text) <= 32 or text == name
        left = name
        for part in text.split("…"):
            assert part in left
            left = left[left.index(part) + len(part) :]


@given(st.text("ab_", min_size=0, max_size=40), st.text("ab_", min_size=0, max_size=40))
def test_one_letter_anywhere_is_enough(before, after):
    one, other = shortened([before + "1" + after, before + "2" + after])
    assert one != other
    assert max(len(one), len(other)) <= 32


# --- pictures -------------------------------------------------------------------------------------


def test_the_elbow_is_where_parallel_analysis_has_it():
    pca = StreamingPCA(8, scale=True).fit(named())
    kept = StreamingPCA("parallel", scale=True).fit(named()).n_components_
    axes = plots.plot_scree(pca, parallel=True).axes[0]
    chance, elbow = axes.lines
    assert list(elbow.get_xdata()) == [kept + 0.5] * 2
    above = pca.explained_variance_ratio_ > chance.get_ydata()
    assert above[:kept].all()
    assert not above[kept]
    assert f"{kept} components are larger" in axes.get_title(loc="left")
    again = plots.plot_scree(pca, parallel=True).axes[0].lines[0]  # what is cached is not changed
    np.testing.assert_array_equal(again.get_ydata(), chance.get_ydata())


def test_a_biplot_has_rows_and_the_features_that_matter(model):
    axes = plots.plot_biplot(model, rows(), n_features=5).axes[0]
    points = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(points, model.transform(rows())[:, :2], atol=1e-9)
    loadings = (model.components[:2] * np.sqrt(model.explained_variance[:2])[:, None]).T
    largest = np.argsort(-np.linalg.norm(loadings, axis=1))[:5]
    arrows = [text for text in axes.texts if text.get_text() == ""]
    tips = np.array([arrow.xy for arrow in arrows])
    expected = loadings[np.sort(largest)]
    ratio = tips / expected
    np.testing.assert_allclose(ratio, ratio[0, 0])
    names = {text.get_text() for text in axes.texts} - {""}
    assert names == {NAMES[i] for i in largest}


def test_a_course_is_in_the_order_of_the_rows(model):
    figure = plots.plot_scores(model, rows(40), times=TIMES[:40])
    axes, bar = figure.axes
    np.testing.assert_allclose(
        np.column_stack(axes.lines[0].get_data()), model.transform(rows(40))[:, :2]
    )
    assert (np.diff(axes.collections[0].get_array()) > 0).all()
    assert "2026-01-05" in bar.get_ylabel()
    shades = axes.collections[0].cmap(np.linspace(0, 1, 9))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(shades) > 0).all()  # also without colour
    numbers = plots.plot_scores(model, rows(40), times=np.arange(40) + 7).axes[0]
    assert numbers.collections[0].get_array()[0] == 7


def test_an_event_shows_its_sensors_and_when(model):
    monitor, new = Monitor(model), rows(200, seed=1)
    new[120:150, 17] += 20
    watch = Watch(monitor, "k=3, n=5, hold_off=10")
    (event,) = [event for event in watch.add(new) if event.is_over and event.n_rows > 20]
    bars, heat = plots.plot_event(monitor, new[100:180], event, start=100).axes
    assert bars.get_yticklabels()[0].get_text() == "sensor 17" == event.sensors[0]
    parts = monitor.spe_contributions(new[event.start : event.end + 1]).mean(axis=0)
    shares = 100 * np.sort(parts)[::-1] / parts.sum()
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], shares[:10])
    first, last = heat.lines
    assert (first.get_xdata()[0], last.get_xdata()[0]) == (event.start - 0.5, event.end + 0.5)
    cells = heat.collections[0].get_array()
    np.testing.assert_allclose(cells[0], monitor.spe_contributions(new[100:180])[:, 17])


def test_what_cannot_be_drawn_is_said(model):
    event = Watch(model).add(rows(50, seed=1) + 100)[0]
    for make, message in (
        (lambda: plots.plot_event(model, rows(5), event, start=900), "say with start="),
        (lambda: plots.plot_event(model, rows(5), times=[1, 2]), "there are 5 rows"),
        (lambda: plots.plot_event(model, rows(5), statistic="q"), "statistic='q'"),
        (lambda: plots.plot_event(model, rows(5), n_features=31), "n_features=31"),
        (lambda: plots.plot_biplot(model, rows(5), components=(1, 9)), "give two of 1 to 8"),
        (
            lambda: plots.plot_biplot(StreamingPCA(2).fit(np.ones((9, 8))).checkpoint(), rows(5)),
            "two components are drawn, and the rows vary along none",
        ),
        (lambda: plots.plot_scores(model, rows(5), times=[1]), "there are 5 rows"),
        (lambda: plots.plot_scores(model, rows(2), times=[1, 2], groups=[1, 2]), "give one"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_rows_with_gaps_are_drawn():
    full = StreamingPCA(3, missing="impute").fit(named())
    gappy = rows(40, seed=2)
    gappy[np.random.default_rng(0).random(gappy.shape) < 0.2] = np.nan
    for figure in (
        plots.plot_event(full, gappy),
        plots.plot_biplot(full, gappy),
        plots.plot_scores(full, gappy, times=TIMES[:40]),
        plots.plot_control(full, gappy),
    ):
        figure.savefig(io.BytesIO())


def test_nothing_of_matplotlib_is_changed(model):
    before = dict(matplotlib.rcParams)
    for _, draw in PICTURES.values():
        draw(model)
    assert dict(matplotlib.rcParams) == before
