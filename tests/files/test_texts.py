"""Texts among numbers: each is named, or stands for a missing value where `na` says so."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.files import read

NAMES = ["oil", "air", "heat"]
TEXTS = ["Bad", "Inp OutRange", "Scan Timeout", "#REF!", "n.d.", "<0.5", "a*b", "?", "Off 3"]
LIKE_NUMBERS = ["1_000", "0x1F", "1'003.5", "1 003", "3 bar", "-2,5x", "+.5%", "12:30", "(4)"]
"""Read in a wrong way, perhaps: no gaps, unless they are named."""


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


def with_one_text(folder, form, text, delimiter):
    """A file of six rows of ones, with a text in the last."""
    path = folder / f"rows.{form}"
    cells = np.ones((6, 3)).tolist()
    cells[5][1] = text
    WRITERS[form](path, cells, delimiter)
    return path


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_no_gap(tmp_path, form, text):
    path = with_one_text(tmp_path, form, text, ",")
    _, bad = rows_of(path, na=["*"], missing="impute", bad_rows="skip")
    assert len(bad) == 1
    assert "feature 'air'" in bad[0]
    assert "finite" in bad[0] or "too large" in bad[0]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("text", TEXTS + LIKE_NUMBERS)
def test_a_text_is_named(tmp_path, form, text):
    path = with_one_text(tmp_path, form, text, "\t")
    _, bad = rows_of(path, bad_rows="skip")
    assert len(bad) == 1
    assert bad[0].endswith(f"feature 'air' is {text!r}, not a finite number")


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("text", LIKE_NUMBERS)
def test_what_looks_like_a_number_is_no_gap_unless_it_is_named(tmp_path, form, text):
    path = with_one_text(tmp_path, form, text, "\t")
    _, bad = rows_of(path, na=["*"], missing="impute", bad_rows="skip")
    assert len(bad) == 1
    assert bad[0].endswith(f"feature 'air' is {text!r}, not a finite number")
    values, bad = rows_of(path, na=[text], missing="impute")
    assert not bad
    assert np.isnan(values[5, 1])


def test_thousands_signs_are_not_lost(tmp_path):
    path = tmp_path / "rows.csv"
    numbers = ['"1,003.5"', '"1,004.5"', "999.5", "998.5", '"1,009.5"']
    path.write_text("p,q\n" + "".join(f"{each},1\n" for each in numbers))
    with pytest.raises(ValueError, match=r"'p' is '1,003.5', not a finite number|holds text"):
        list(read(str(path), na=["*"], missing="impute"))


def test_what_was_taken_is_said(tmp_path):
    path = tmp_path / "rows.csv"
    cells = ["1,2", "Bad,3", "4,Off", "5,Bad", "1,2", "1,2"]
    path.write_text("oil,air\n" + "\n".join(cells) + "\n")
    said = []
    list(read(str(path), na=["*"], missing="impute", say=said.append))
    assert said == [f"{path}: texts taken for missing values: 'Bad' 2 x, 'Off' 1 x"]
    said.clear()
    list(read(str(path), na=["Bad", "Off"], missing="impute", say=said.append))
    assert said == []


@pytest.mark.parametrize("na", [["*"], ["x"], ["x", "*"]])
def test_a_row_of_units_is_one_with_texts_below_it(tmp_path, na):
    path = tmp_path / "rows.csv"
    path.write_text("Druck;Temp\nPa;C\n1;3\n2;x\n4;8\n")
    said = []
    (rows,) = read(str(path), na=na, missing="impute", say=said.append)
    np.testing.assert_array_equal(rows.values, [[1, 3], [2, np.nan], [4, 8]])
    assert "the row under the names as their units" in said[0]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("na", ["-9999", "-9999.0", "-9.999e3"])
def test_a_number_that_stands_for_nothing_is_named_in_any_form(tmp_path, form, na):
    path = tmp_path / f"rows.{form}"
    X = np.arange(15.0).reshape(5, 3)
    X[2, 1] = -9999.0
    X[3, 0] = -9998.0
    if form == "parquet":
        pq.write_table(pa.table(dict(zip(NAMES, X.T, strict=True))), path)
    else:
        WRITERS[form](path, X.tolist(), ",")
    values, bad = rows_of(path, na=[na], missing="impute")
    assert not bad
    assert np.isnan(values[2, 1])
    np.testing.assert_array_equal(np.isnan(values).sum(), 1)
    _, bad = rows_of(path, na=[na], bad_rows="skip")
    assert bad[0].endswith("feature 'air' is missing")


@pytest.mark.parametrize(("zone", "hours"), [("+01:00", 1), ("-03:30", -3.5), ("+0530", 5.5)])
def test_a_zone_may_be_an_offset(tmp_path, zone, hours):
    path = tmp_path / "rows.csv"
    path.write_text("time,oil,air\n" + "".join(f"2026-03-29 02:{i:02},1,2\n" for i in range(9)))
    asked = {"timestamp_column": "time", "columns": ["oil", "air"]}
    (here,) = read(str(path), timezone=zone, **asked)
    (there,) = read(str(path), **asked)
    np.testing.assert_array_equal(there.times - here.times, round(hours * 3.6e9))
    for wrong in ("+25:00", "+1", "1:00"):
        with pytest.raises(ValueError, match="no such time zone"):
            list(read(str(path), timezone=wrong, **asked))


def test_a_column_without_a_name_is_left_out_only_where_no_option_names_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(",oil,air\n" + "".join(f"2026-01-01 00:0{i},1,{i}\n" for i in range(9)))
    for options, n_said in (({}, 1), ({"timestamp_column": "column_1"}, 0)):
        said = []
        list(read(str(path), say=said.append, **options))
        assert len([each for each in said if "no name: column_1" in each]) == n_said, said


def test_a_column_of_texts_is_not_made_one_of_gaps(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("hall,oil\n" + "".join(f"north,{i}\n" for i in range(10)))
    with pytest.raises(ValueError, match="column 'hall' holds text, such as 'north'"):
        list(read(str(path), na=["*"], missing="impute"))


def test_what_is_long_is_cut_in_the_message(tmp_path):
    """A file whose cells stand between spaces is one column, and its name a complete row."""
    lines = [" ".join(["0.25"] * 52), *[" ".join([f"{i}.5"] * 52) for i in range(9)]]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="holds text, such as '0.5 ") as error:
        list(read(tmp_path / "a.csv"))
    said = str(error.value).replace(str(tmp_path), "")
    assert len(said) < 250
    assert said.count("...") == 2


@pytest.mark.parametrize("name", ["oil", "oil, hot"])
def test_decimal_commas_of_one_column_are_told(tmp_path, name):
    X = np.random.default_rng(0).normal(size=(9, 1)).round(3)
    cells = [f"{each}".replace(".", ",") for each in X[:, 0].tolist()]
    (tmp_path / "a.csv").write_text("\n".join([name, *cells]))
    parts = list(read(tmp_path / "a.csv", decimal=","))
    assert parts[0].names == [name]
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), X)
