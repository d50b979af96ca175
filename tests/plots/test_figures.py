"""Figures of models and rows: what they show, without colour, and at the width of a phone."""

from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from plotted import LONG, NAMES, TIMES, named, rows

from streampca import StreamingPCA, plots
from streampca.metrics import acs
from streampca.monitor import Monitor


def all_figures(model):
    monitor = Monitor(model)
    other = StreamingPCA(8).fit(rows(seed=5))
    pca, history = StreamingPCA(4), []
    for hour in range(40):
        pca.partial_fit(rows(20, seed=hour))
        history.append(pca.checkpoint(key="press 4", window_end=3_600_000_000 * (hour + 1)))
    return {
        "scree": plots.plot_scree(model),
        "loadings": plots.plot_loadings(model),
        "many loadings": plots.plot_loadings(model, n_components=8, n_features=30),
        "components": plots.plot_components(history),
        "scores": plots.plot_scores(model, rows(), groups=np.arange(300) % 6),
        "control": plots.plot_control(monitor, rows(seed=1)),
        "contributions": plots.plot_contributions(monitor, rows(seed=1)[0]),
        "acs": plots.plot_acs(model, other),
        "elbow": plots.plot_scree(model, parallel=True, title="Press 4, January"),
        "biplot": plots.plot_biplot(model, rows(), title="Press 4"),
        "course": plots.plot_scores(model, rows(), times=TIMES, title="Press 4"),
        "event": plots.plot_event(monitor, rows(100, seed=1), times=TIMES[:100], title="Press 4"),
        "event by rows": plots.plot_event(monitor, rows(100, seed=1), start=12_000, statistic="t2"),
        "control in time": plots.plot_control(monitor, rows(seed=1), times=TIMES, title="Press 4"),
        "long names": plots.plot_loadings(StreamingPCA(3).fit(named(names=LONG))),
        "biplot of long names": plots.plot_biplot(StreamingPCA(3).fit(named(names=LONG)), rows()),
    }


@pytest.fixture(scope="module")
def figures(model):
    return all_figures(model)


FIGURES = (
    "scree",
    "loadings",
    "many loadings",
    "components",
    "scores",
    "control",
    "contributions",
    "acs",
    "elbow",
    "biplot",
    "course",
    "event",
    "event by rows",
    "control in time",
    "long names",
    "biplot of long names",
)


def drawn(figure, width):
    """Grey pixels of a figure at a width; its texts are then measured in these pixels."""
    figure.set_dpi(width / figure.get_figwidth())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L"), "float64")


def seen(figure, texts):
    """The texts that are drawn, with their boxes: ticks beyond an axis have labels that are not."""
    beyond = {label for axes in figure.axes for label in _beyond(axes)}
    for text in texts:
        if text.get_visible() and text.get_text().strip() and text not in beyond:
            yield text, text.get_window_extent()


def _beyond(axes):
    frame = axes.bbox.padded(1)
    for label in axes.get_xticklabels():
        box = label.get_window_extent()
        if not frame.x0 <= (box.x0 + box.x1) / 2 <= frame.x1:
            yield label
    for label in axes.get_yticklabels():
        box = label.get_window_extent()
        if not frame.y0 <= (box.y0 + box.y1) / 2 <= frame.y1:
            yield label


@pytest.mark.parametrize("name", FIGURES)
def test_at_the_width_of_a_phone_text_can_be_read_and_none_is_cut_or_overlaps(figures, name):
    """390 pixels wide: all inside, no label on its neighbour, and nothing tiny."""
    figure = figures[name]
    assert drawn(figure, 390).shape[1] == 390
    shown = list(seen(figure, figure.findobj(Text)))
    assert len(shown) >= 5
    within = figure.bbox.padded(1)
    for text, box in shown:
        assert text.get_fontsize() * figure.dpi / 72 >= 8.5, text
        assert within.x0 <= box.x0, text
        assert box.x1 <= within.x1, text
    for axes in figure.axes:
        for labels, low, high in (
            (axes.get_xticklabels(), "x0", "x1"),
            (axes.get_yticklabels(), "y0", "y1"),
        ):
            boxes = [box for _, box in seen(figure, labels)]
            boxes.sort(key=lambda box: getattr(box, low))
            assert all(getattr(a, high) <= getattr(b, low) + 1 for a, b in pairwise(boxes))


@pytest.mark.parametrize("name", FIGURES)
def test_in_black_and_white_there_is_ink(figures, name):
    shades = drawn(figures[name], 390)
    assert (shades < 80).mean() > 0.005
    assert (shades > 240).mean() > 0.2


def test_scree_has_the_shares_and_their_sum(model):
    axes = plots.plot_scree(model).axes[0]
    shares = model.explained_variance_ratio
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], shares)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.cumsum(shares))
    assert all(bar.get_hatch() for bar in axes.patches)
    assert axes.texts[0].get_text() == f"{shares.sum():.1%}"
    assert len(plots.plot_scree(model, n_components=2).axes[0].patches) == 2


def test_loadings_are_those_of_the_features_that_matter_with_their_signs(model):
    axes = plots.plot_loadings(model, n_components=3, n_features=5).axes[0]
    largest = np.abs(model.components[:3]).max(axis=0)
    shown = np.sort(np.argsort(-largest)[:5])
    np.testing.assert_array_equal(axes.images[0].get_array(), model.components[:3, shown].T)
    assert [label.get_text() for label in axes.get_yticklabels()] == [NAMES[i] for i in shown]
    written = [text.get_text().replace("−", "-") for text in axes.texts]
    np.testing.assert_allclose(
        np.array(written, float).reshape(5, 3), model.components[:3, shown].T, atol=0.0051
    )


def test_many_loadings_still_show_their_signs(model):
    axes = plots.plot_loadings(model, n_components=8).axes[0]
    cells = axes.images[0].get_array().ravel()
    for text, value in zip(axes.texts, cells, strict=True):
        assert text.get_text() in ("−" if value < 0 else "+", "" if value >= 0 else "−")


def test_scores_are_coordinates_and_the_ellipse_holds_its_share(model):
    new = rows(5000, seed=3)
    axes = plots.plot_scores(model, new, components=(2, 1), confidence=0.9).axes[0]
    points = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(points, model.transform(new)[:, [1, 0]], atol=1e-9)
    ellipse = axes.patches[0]
    inside = (points / [ellipse.width / 2, ellipse.height / 2]) ** 2
    assert (inside.sum(axis=1) <= 1).mean() == pytest.approx(0.9, abs=0.03)


def test_groups_of_scores_have_markers_of_their_own(model):
    axes = plots.plot_scores(model, rows(60), groups=["abcdef"[i % 6] for i in range(60)]).axes[0]
    shapes = {
        (str(path.vertices.round(3).tolist()), bool(len(points.get_facecolor())))
        for points in axes.collections
        for path in points.get_paths()
    }
    assert len(shapes) == 6


def test_control_charts_mark_the_rows_above_the_limit(model):
    monitor, new = Monitor(model), rows(200, seed=1)
    new[150:, 3] += 20
    times = np.datetime64("2026-01-01", "s") + np.arange(200)
    upper, lower = plots.plot_control(monitor, new, times=times).axes
    for axes, values, limit in (
        (upper, monitor.spe(new), monitor.spe_limit()),
        (lower, monitor.t2(new), monitor.t2_limit()),
    ):
        _, within, above, line = axes.lines
        np.testing.assert_array_equal(above.get_ydata(), values[values > limit])
        np.testing.assert_array_equal(within.get_ydata(), values[values <= limit])
        assert (within.get_marker(), above.get_marker()) == ("o", "x")
        assert list(line.get_ydata()) == [limit, limit]
        assert f"{(values > limit).sum()} above" in axes.get_title(loc="left")
    assert len(upper.lines[2].get_ydata()) >= 50


def test_control_charts_take_the_limits_that_are_asked_for(model):
    monitor = Monitor(model).calibrate(rows(500, seed=7))
    figure = plots.plot_control(monitor, rows(50), spe_method="empirical", t2_method="chi2")
    assert figure.axes[0].lines[3].get_ydata()[0] == monitor.spe_limit(0.99, "empirical")
    assert figure.axes[1].lines[3].get_ydata()[0] == monitor.t2_limit(0.99, "chi2")


@pytest.mark.parametrize("statistic", ["spe", "t2"])
def test_contributions_are_the_largest_first(model, statistic):
    monitor, row = Monitor(model), rows(1, seed=1)[0]
    row[17] += 30
    axes = plots.plot_contributions(monitor, row, statistic=statistic, n_features=4).axes[0]
    parts = getattr(monitor, f"{statistic}_contributions")([row])[0]
    order = np.argsort(-np.abs(parts))[:4]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], parts[order])
    assert axes.get_yticklabels()[0].get_text() == "sensor 17"


def test_acs_is_the_matrix_of_cosines(model):
    other = StreamingPCA(3).fit(rows(seed=5))
    image = plots.plot_acs(model, other).axes[0].images[0].get_array()
    np.testing.assert_array_equal(image, acs(model.components, other.components_))


def test_models_of_any_size_become_pictures():
    one = StreamingPCA(1).fit(np.arange(6.0).reshape(6, 1))
    wide = StreamingPCA(40).fit(np.random.default_rng(0).normal(size=(60, 200)))
    constant = StreamingPCA(2).fit(np.full((9, 3), 2.0))
    for pca in (one, wide, constant):
        for figure in (plots.plot_scree(pca), plots.plot_loadings(pca), plots.plot_acs(pca, pca)):
            assert drawn(figure, 390).shape[1] == 390
    assert drawn(plots.plot_control(constant, np.full((9, 3), 2.0)), 390).shape[1] == 390
    with pytest.raises(ValueError, match="leave nothing for SPE"):
        plots.plot_control(one, np.arange(6.0).reshape(6, 1))


def test_what_cannot_be_drawn_is_said(model):
    with pytest.raises(ValueError, match="n_components=9 is not accepted: give 1 to 8"):
        plots.plot_scree(model, n_components=9)
    with pytest.raises(ValueError, match=r"components=\(1, 1\) is not accepted: give two"):
        plots.plot_scores(model, rows(), components=(1, 1))
    with pytest.raises(ValueError, match="7 groups cannot be told apart without colour"):
        plots.plot_scores(model, rows(70), groups=np.arange(70) % 7)
    with pytest.raises(ValueError, match="statistic='q'"):
        plots.plot_contributions(model, rows(1)[0], statistic="q")
    with pytest.raises(ValueError, match="of one row, and 2 were given"):
        plots.plot_contributions(model, rows(2))
    with pytest.raises(ValueError, match="there are 5 rows"):
        plots.plot_control(model, rows(5), times=[1, 2])
    with pytest.raises(TypeError, match="cannot draw dict"):
        plots.plot_scree({})


def test_nothing_of_matplotlib_is_changed(model):
    before = dict(matplotlib.rcParams)
    all_figures(model)
    assert dict(matplotlib.rcParams) == before
    assert Gcf.get_all_fig_managers() == []  # pyplot would keep each figure for ever
