"""Bad rows through River's faces: named by row and feature, and nothing changes, bit for bit."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from bad_input import BAD_ROWS, GAPS, NAMES, NO_NUMBERS, NO_ROWS, NUMBERS, TOO_LARGE, with_entry

from streampca.river import PCA, PCAScorer, ReducedRankRegressor

ROWS = np.random.default_rng(1).normal(size=(60, 5)) * [3, 2, 1, 1, 1] + 5
BAD = NO_NUMBERS | TOO_LARGE | GAPS
ADVICE = "leave the (row|feature) out|turn the feature into numbers"


def row(values):
    return dict(zip(NAMES, values[:3], strict=True))


class Transformer:
    """What River's faces have in common: 60 rows learned, one more to learn, one to use."""

    make = PCA

    def __init__(self):
        self.model = self.make(2)
        for values in ROWS.tolist():
            self.learn(row(values), values[3:])

    def learn(self, x, y=(0.0, 0.0)):
        self.model.learn_one(x)

    def use(self, x):
        return self.model.transform_one(x)


class Scorer(Transformer):
    make = PCAScorer

    def use(self, x):
        return self.model.score_one(x)


class Imputer(Transformer):
    def make(self, p):
        return PCA(p, missing="impute")


class Regressor(Transformer):
    make = ReducedRankRegressor

    def learn(self, x, y=(0.0, 0.0)):
        self.model.learn_one(x, dict(zip("pq", y, strict=True)))

    def use(self, x):
        return self.model.predict_one(x)


FACES = [Transformer, Scorer, Imputer, Regressor]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("face", FACES)
def test_a_bad_value_is_named_and_nothing_changes(face, name):
    if face is Imputer and name in GAPS:
        pytest.skip("a gap that is filled is no bad value: see the test on gaps")
    one, twin = face(), face()
    before = pickle.dumps(one.model)
    bad = {"new": 1.0, "a": 1.0, "b": BAD[name], "ü °C": 2.0}
    for x in (bad, {f: bad[f] for f in NAMES}):  # with a feature nobody has seen, and without
        with pytest.raises(ValueError, match=f"^row 60, feature 'b' is .*({ADVICE})"):
            one.learn(x)
    assert pickle.dumps(one.model) == before
    with pytest.raises(ValueError, match=f"^feature 'b' is .*({ADVICE})"):
        one.use({f: bad[f] for f in NAMES})
    twin.use(row(ROWS[0]))  # which folds in what waits
    for each in (one, twin):
        each.learn(row([1.0, 2.0, 3.0]))
    assert one.use(row(ROWS[1])) == twin.use(row(ROWS[1]))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_target_is_named_and_nothing_changes(name):
    model = Regressor().model
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="^targets: row 60, feature 'q' is "):
        model.learn_one(row([1.0, 2.0, 3.0]), {"p": 1.0, "q": BAD[name]})
    for weight in (-1.0, float("nan"), float("inf"), "x", None, 1j):
        with pytest.raises(ValueError, match="^row 0.* weight"):
            model.learn_one(row([1.0, 2.0, 3.0]), {"p": 1.0, "q": 2.0}, weight)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("face", FACES)
def test_numbers_of_every_type_are_numbers(face, name):
    value, number = NUMBERS[name]
    one, plain = face(), face()
    for _ in range(3):
        one.learn({"a": 1.0, "b": value, "ü °C": 2.0})
        plain.learn({"a": 1.0, "b": number, "ü °C": 2.0})
    x = {"a": 1.0, "b": number, "ü °C": 0.0}
    assert one.use(x | {"b": value}) == plain.use(x)


@pytest.mark.parametrize("name", GAPS)
def test_gaps_of_every_kind_are_absent_features_where_asked(name):
    one, plain = Imputer(), Imputer()
    one.learn({"a": 1.0, "b": GAPS[name], "ü °C": 2.0})
    plain.learn({"a": 1.0, "ü °C": 2.0})
    assert one.model.components_ == plain.model.components_
    assert one.use({"a": 1.0, "b": GAPS[name]}) == plain.use({"a": 1.0})


@pytest.mark.parametrize("name", BAD)
def test_a_bad_entry_of_a_frame_is_named_and_nothing_changes(name):
    model = Transformer().model
    before = pickle.dumps(model)
    frame = pd.DataFrame(with_entry(BAD[name]), columns=list(NAMES))
    with pytest.raises(ValueError, match="^row 2, feature 'b' is "):
        model.learn_many(frame)
    assert pickle.dumps(model) == before
    with pytest.raises(ValueError, match="^row 2, feature 'b' is "):
        model.transform_many(frame)


FRAMES = [name for name in BAD_ROWS if name.split()[0] in ("pandas", "polars", "Arrow")]
FINE = ("pandas with other names",)
"""Features come and go here."""


@pytest.mark.parametrize("name", [name for name in FRAMES if name not in FINE])
def test_a_bad_frame_is_named_and_nothing_changes(name):
    bad, message = BAD_ROWS[name]
    model = Transformer().model
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=message):
        model.learn_many(bad)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    "name", [name for name in NO_ROWS if name.split()[0] in ("pandas", "polars")]
)
def test_no_rows_teach_nothing(name):
    model = Transformer().model
    before = pickle.dumps(model)
    if name != "pandas without anything":
        model.learn_many(NO_ROWS[name])
    assert pickle.dumps(model) == before


def test_a_column_of_vectors_is_features_by_name():
    rows = np.arange(12.0).reshape(4, 3) ** 2
    vectors = pd.DataFrame({"v": list(rows)})
    beside = pd.DataFrame({"a": rows[:, 0], "v": list(rows[:, 1:])})
    for frame, names in ((vectors, ["v_0", "v_1", "v_2"]), (beside, ["a", "v_0", "v_1"])):
        plain = pd.DataFrame(rows, columns=names)
        model, same = PCA(2), PCA(2)
        model.learn_many(frame)
        same.learn_many(plain)
        assert pickle.dumps(model) == pickle.dumps(same)


def test_one_name_twice_is_refused_whatever_its_type():
    with pytest.raises(ValueError, match="two features are named 0"):
        PCA(1).learn_many(pd.DataFrame(np.ones((2, 2)), columns=[0, 0]))


def test_a_complex_number_is_no_number_whatever_is_done_with_warnings():
    # numpy would warn and give the real part
    code = (
        "import numpy as np; from streampca.river import PCA; pca = PCA(1)\n"
        "pca.learn_one({'a': 1.0, 'b': 2.0})\n"
        "try: pca.learn_one({'a': 1.0, 'b': np.complex128(2)})\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("row 1, feature 'b' is (2+0j) (complex128), not a number")
