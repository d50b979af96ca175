"""Figures show what models and rows say, without colour, and at the width of a phone."""

import io

import numpy as np
import pytest

from streampca import StreamingPCA
from streampca.plots import (
    plot_components,
)

HOUR = 3_600_000_000


def turning(degrees, key=None, ends=True):
    """Checkpoints whose first two components turn in their plane by so many degrees in all."""
    history = []
    for i, angle in enumerate(np.radians(degrees)):
        rotation = [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]]
        axes = np.vstack([rotation, [0, 0, 1]]) * np.array([[3.0], [2.0], [1.0]])
        pca = StreamingPCA(2).partial_fit(np.vstack([axes, -axes]))
        history.append(pca.checkpoint(key=key, window_end=HOUR * (i + 1) if ends else None))
    return history


def test_the_upper_panel_has_the_angles_to_the_window_before():
    upper, _ = plot_components(turning([0, 5, 5.5, 45])).axes
    assert len(upper.lines) == 2
    for line in upper.lines:
        np.testing.assert_allclose(line.get_ydata(), [np.nan, 5, 0.5, 39.5], rtol=1e-6)


def test_a_component_at_rest_stays_in_the_figure():
    upper, _ = plot_components(turning([0, 0])).axes
    assert upper.lines[0].get_ydata()[1] == 0.01 > upper.get_ylim()[0]


def test_the_lower_panel_has_the_explained_variance():
    history = turning([0, 5, 45])
    _, lower = plot_components(history).axes
    shares = np.array([line.get_ydata() for line in lower.lines]).T
    np.testing.assert_allclose(shares, [c.explained_variance_ratio for c in history])


def test_lines_differ_without_colour():
    pca = StreamingPCA(8).partial_fit(np.random.default_rng(0).normal(size=(20, 8)))
    upper, _ = plot_components([pca.checkpoint()] * 2).axes
    styles = [(line.get_marker(), str(line._dash_pattern)) for line in upper.lines]
    assert len({marker for marker, _ in styles}) == 6
    assert len({dashes for _, dashes in styles}) == 6


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("count", [1, 2, 30])
def test_any_history_becomes_a_picture(count, ends):
    picture = io.BytesIO()
    plot_components(turning(np.arange(count), "press 4", ends)).savefig(picture)
    assert picture.getvalue().startswith(b"\x89PNG")


def test_the_key_is_named():
    upper, _ = plot_components(turning([0, 1], "press 4")).axes
    assert "press 4" in upper.get_title(loc="left")


def test_what_makes_no_one_history_is_refused():
    with pytest.raises(ValueError, match="no checkpoint"):
        plot_components([])
    with pytest.raises(ValueError, match="several keys, 'a' and 'b'"):
        plot_components(turning([0], "a") + turning([0], "b"))
    other = StreamingPCA(1).partial_fit(np.eye(4)).checkpoint()
    with pytest.raises(ValueError, match="do not have the same features"):
        plot_components([*turning([0]), other])
    with pytest.raises(ValueError, match="n_components=3 is not accepted: give 1 to 2"):
        plot_components(turning([0]), n_components=3)


def test_fewer_components_can_be_drawn():
    upper, _ = plot_components(turning([0, 1]), n_components=1).axes
    assert len(upper.lines) == 1
