"""Texts among numbers: each is named, or stands for a missing value where `na` says so."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.files import read

NAMES = ["oil", "air", "heat"]
TEXTS = [
    "Bad",
    "Inp OutRange",
    "Scan Timeout",
    "#REF!",
    "n.d.",
    "<0.5",
    "1_000",
    "0x1F",
    "-",
    "a*b",
]


def as_csv(path, cells, delimiter):
    lines = [NAMES, *([str(cell) for cell in row] for row in cells)]
    text = "\n".join(delimiter.join(line) for line in lines) + "\n"
    # a decimal comma where nothing else is one
    path.write_text(text.replace(".", ",") if delimiter == ";" else text)


def as_jsonl(path, cells, delimiter):
    rows = (dict(zip(NAMES, row, strict=True)) for row in cells)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows_of(path, **options):
    parts = list(read(str(path), columns=NAMES, **options))
    bad = [each.reason for part in parts for each in part.bad]
    return np.concatenate([part.values for part in parts]), bad


WRITERS = {"csv": as_csv, "jsonl": as_jsonl}


@pytest.mark.parametrize("form", WRITERS)
@given(
    data=st.data(),
    delimiter=st.sampled_from([",", ";", "\t"]),
    said=st.sampled_from([["*"], ["nothing", "*"], TEXTS]),
)
@settings(max_examples=40, deadline=None)
def test_all_texts_may_stand_for_missing_values(tmp_path_factory, form, data, delimiter, said):
    path = tmp_path_factory.mktemp("texts") / f"rows.{form}"
    X = np.random.default_rng(0).normal(size=(30, 3)).round(3)
    # from row 4 on: the first rows say which columns are numbers
    spots = data.draw(st.sets(st.tuples(st.integers(4, 29), st.integers(0, 2)), max_size=12))
    cells, expected = X.tolist(), X.copy()
    if delimiter == ";":  # where a point becomes a comma, none stands in a text
        said = [text.replace(".", ",") for text in said]
    for i, j in sorted(spots):
        cells[i][j] = data.draw(st.sampled_from(TEXTS))
        expected[i, j] = np.nan
    WRITERS[form](path, cells, delimiter)
    values, bad = rows_of(path, na=said, missing="impute")
    assert not bad
    np.testing.assert_array_equal(values, expected)
    _, bad = rows_of(path, na=said, bad_rows="skip")
    assert len(bad) == len({i for i, _ in spots})
    assert all(reason.endswith("is missing") for reason in bad)


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_no_gap(tmp_path, form, text):
    path = tmp_path / f"rows.{form}"
    cells = np.ones((6, 3)).tolist()
    cells[5][1] = text
    WRITERS[form](path, cells, ",")
    _, bad = rows_of(path, na=["*"], missing="impute", bad_rows="skip")
    assert len(bad) == 1
    assert "feature 'air'" in bad[0]
    assert "finite" in bad[0] or "too large" in bad[0]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_named(tmp_path, form, text):
    path = tmp_path / f"rows.{form}"
    cells = np.ones((6, 3)).tolist()
    cells[5][1] = text
    WRITERS[form](path, cells, ",")
    _, bad = rows_of(path, bad_rows="skip")
    assert len(bad) == 1
    assert bad[0].endswith(f"feature 'air' is {text!r}, not a finite number")


def test_a_column_of_texts_is_not_made_one_of_gaps(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("hall,oil\n" + "".join(f"north,{i}\n" for i in range(10)))
    with pytest.raises(ValueError, match="column 'hall' holds text, such as 'north'"):
        list(read(str(path), na=["*"], missing="impute"))
