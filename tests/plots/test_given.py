"""Times, groups and names as people have them are drawn as what they are."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from plotted import named, rows

from streampca import StreamingPCA
from streampca.plots import (
    plot_biplot,
    plot_contributions,
    plot_control,
    plot_event,
    plot_loadings,
    plot_scores,
)

M = 40
MOMENTS = [dt.datetime(2026, 3, 29) + dt.timedelta(minutes=7 * i) for i in range(M)]
BERLIN = [each.replace(tzinfo=dt.UTC).astimezone(ZoneInfo("Europe/Berlin")) for each in MOMENTS]
RIGHT = np.array(MOMENTS, "datetime64[us]")
KINDS = {
    "datetimes": MOMENTS,
    "datetimes with a zone": BERLIN,
    "ISO 8601": [each.isoformat() for each in MOMENTS],
    "ISO 8601 with a zone": [each.isoformat() for each in BERLIN],
    "seconds of numpy": RIGHT.astype("datetime64[s]"),
    "nanoseconds of numpy": RIGHT.astype("datetime64[ns]"),
    "pandas": pd.DatetimeIndex(MOMENTS),
    "pandas with a zone": pd.DatetimeIndex(BERLIN),
    "a column of pandas": pd.Series(BERLIN, index=range(M, 0, -1)),
}
FIGURES = {
    "control": lambda times: plot_control(model(), rows(M), times=times),
    "scores": lambda times: plot_scores(model(), rows(M), times=times),
    "event": lambda times: plot_event(model(), rows(M), times=times),
}


def model():
    return StreamingPCA(2).fit(rows(200))


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("kind", KINDS)
def test_times_of_all_kinds_are_the_same_times(figure, kind):
    made = FIGURES[figure]
    np.testing.assert_array_equal(pixels(made(KINDS[kind])), pixels(made(RIGHT)))


@pytest.mark.parametrize("figure", FIGURES)
def test_what_is_no_time_is_named(figure):
    with pytest.raises(ValueError, match="'noon'"):
        FIGURES[figure](["noon"] * M)


@pytest.mark.parametrize(
    "groups", [[None, "a"], ["a", float("nan")], [1, "1b"], [True, None], [None, None]]
)
def test_groups_of_several_types_are_told_apart(groups):
    figure = plot_scores(model(), rows(M), groups=groups * (M // 2))
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == sorted({str(each) for each in groups})


@pytest.mark.parametrize("name", ["$", "$x$", r"$\frac$", "a$b$", r"$\nothing{$", r"US$/t, EU$/t"])
def test_a_dollar_sign_is_a_dollar_sign(name):
    X = rows(60)
    names = [f"{name}{i}" for i in range(X.shape[1])]
    pca = StreamingPCA(2).fit(named(60, names=names))
    drawn = [plot_loadings(pca), plot_biplot(pca, X), plot_contributions(pca, X[0])]
    for figure in [*drawn, plot_event(pca, X)]:
        assert pixels(figure).min() < 128
