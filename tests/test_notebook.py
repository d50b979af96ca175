"""What models, checkpoints, stores and monitors look like in a notebook."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streampca import (
    CheckpointStore,
    KeyedPCA,
    StreamingPCA,
    StreamingReducedRankRegression,
)
from streampca.monitor import Monitor
from streampca.text import html

BAD = "<script>alert('x')</script> & \"y\""


def rows(m=200, n=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 2)) @ rng.normal(size=(2, n)) + 0.1 * rng.normal(size=(m, n))
    return pd.DataFrame(X, columns=[BAD, *(f"sensor {i}" for i in range(1, n))])


def read(shown):
    """The HTML, parsed: well-formed, and nothing in it runs or is loaded."""
    text = shown._repr_html_()
    tree = ElementTree.fromstring(text)
    tags = {each.tag for each in tree.iter()}
    assert not tags & {"script", "img", "link", "style", "iframe"}
    assert "http" not in text
    return tree, " ".join("".join(tree.itertext()).split())


def cells(tree):
    return [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]


def test_a_model_shows_its_components():
    pca = StreamingPCA(2).fit(rows())
    tree, text = read(pca)
    assert ["rows", "200"] in cells(tree)
    assert text.startswith("StreamingPCA(n_components=2)")
    first = cells(tree)[4]
    assert first[:2] == ["1", f"{pca.explained_variance_ratio_[0]:.1%}"]
    leading = int(np.abs(pca.components_[0]).argmax())
    name = pca.feature_names_in_[leading]
    assert first[2].startswith(f"{name} {pca.components_[0, leading]:+.2f}")
    assert len(list(tree.iter("rect"))) == 2
    assert BAD in text


def test_a_model_without_rows_shows_its_parameters():
    tree, text = read(StreamingPCA(3, scale=True))
    assert "StreamingPCA(n_components=3, scale=True)" in text
    assert cells(tree) == [["rows", "0"]]


def test_a_regression_shows_its_pairs():
    X = rows()
    Y = pd.DataFrame({BAD: X.iloc[:, 0] - X.iloc[:, 1], "b": X.iloc[:, 2]})
    model = StreamingReducedRankRegression(2)
    assert cells(read(model)[0]) == [["rows", "0"]]
    tree, text = read(model.fit(X, Y))
    assert text.startswith("StreamingReducedRankRegression(n_components=2)")
    assert ["targets", f"{BAD}, b"] in cells(tree)
    first = next(row for row in cells(tree) if row[0] == "1")
    assert first[1] == f"{model.explained_variance_ratio_[0]:.1%}"
    leading = int(np.abs(model.encoder_[0]).argmax())
    assert first[2].startswith(f"{X.columns[leading]} {model.encoder_[0, leading]:+.2f}")
    assert "of the targets' variance" in text
    plain = read(StreamingReducedRankRegression(1).fit(X.to_numpy(), Y.to_numpy()[:, 0]))[1]
    assert "target 0" in plain
    assert "feature 0" in plain or "feature 1" in plain or "feature 2" in plain


def test_many_components_are_counted():
    tree, text = read(StreamingPCA(40).fit(np.random.default_rng(0).normal(size=(99, 50))))
    assert "and 30 more" in text
    assert len(list(tree.iter("rect"))) == 40


def test_a_view_of_a_bank_is_shown_as_a_model():
    bank = KeyedPCA(2)
    bank.partial_fit(rows().to_numpy(), ["a", "b"] * 100)
    assert ["rows", "100"] in cells(read(bank["a"])[0])


def test_a_checkpoint_shows_whose_it_is():
    checkpoint = (
        StreamingPCA(2)
        .fit(rows())
        .checkpoint(key=BAD, window_start=0, window_end=60_000_000, sequence=3)
    )
    tree, text = read(checkpoint)
    assert text.startswith(f"Checkpoint of {BAD}")
    assert ["window", "1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z"] in cells(tree)
    assert ["can be gone on from", "yes"] in cells(tree)
    assert ["sequence", "3"] in cells(tree)
    slim = read(checkpoint.without_moments())[0]
    assert ["can be gone on from", "no, without moments"] in cells(slim)


def test_a_store_shows_its_keys_and_the_course_of_each(tmp_path):
    store = CheckpointStore(tmp_path / "a&b")
    assert read(store)[1].startswith("CheckpointStore")
    for key in [None, *(f"press {i:02d}" for i in range(12))]:
        pca = StreamingPCA(1)
        for hour in range(3):
            pca.partial_fit(rows(50, seed=hour))
            store.write(pca.checkpoint(key=key, window_end=3_600_000_000 * (hour + 1)))
    damaged = sorted((tmp_path / "a&b").rglob("*.parquet"))[0]
    damaged.write_bytes(b"PAR1")
    tree, text = read(store)
    lines = cells(tree)
    assert lines[2][:3] == ["press 00", "3", "1970-01-01T03:00:00Z"]
    assert "and 3 more keys" in text
    assert len(list(tree.iter("polyline"))) == 10
    assert re.search(r"\d\d\.\d%", lines[2][3])


def test_a_monitor_shows_its_limits():
    monitor = Monitor(StreamingPCA(3).fit(rows()), n_components=2)
    tree, text = read(monitor)
    assert ["components", "2 of 3"] in cells(tree)
    assert f"SPE {monitor.spe_limit():.4g}, T² {monitor.t2_limit():.4g}, from theory" in text
    assert len(list(tree.iter("rect"))) == 5
    monitor.calibrate(rows(500, seed=1))
    assert "from 500 normal rows" in read(monitor)[1]
    assert "leave nothing for SPE" in read(Monitor(StreamingPCA(5).fit(rows())))[1]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300), st.booleans())
def test_any_numbers_become_a_line(values, bars):
    found = html.spark(values, "<label>", bars=bars)
    known = [value for value in values if np.isfinite(value)]
    if not known:
        assert found == ""
        return
    tree = ElementTree.fromstring(found)
    assert tree[0].text == "<label>"
    assert "nan" not in found
    assert "inf" not in found.lower().replace("polyline", "")
    if bars:
        assert len(tree.findall("rect")) == len(known)


@given(st.text(), st.text())
def test_any_text_is_escaped(title, cell):
    made = html.card(title, html.table([[cell, 1]]))
    assert made.count("<") == html.card("", html.table([["", 1]])).count("<")


@pytest.mark.parametrize("values", [[1e308, -1e308, 1e308], [5e-324, 0.0]])
def test_numbers_of_any_size_stay_in_the_picture(values):
    heights = [float(y) for y in re.findall(r",(-?[\d.]+)", html.spark(values, "x"))]
    assert all(0 <= y <= 18 for y in heights)
