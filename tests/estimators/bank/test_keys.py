"""Which keys and rows a bank takes, and what it says of others."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from streampca import KeyedPCA, NotFittedError, StreamingPCA, UnknownKeyError

# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        list,
        lambda keys: np.array(keys, object),
        lambda keys: pd.Series(keys, dtype=object),
    ],
)
def test_keys_are_told_apart_by_type(made):
    keys = ["1", 1, None, "None", -1, "1"]
    bank = KeyedPCA(1).partial_fit(np.random.default_rng(0).normal(size=(6, 2)), made(keys))
    assert list(bank) == ["1", 1, None, "None", -1]
    assert bank["1"].n_samples_seen_ == 2
    assert 1.0 not in bank
    assert True not in bank


@pytest.mark.parametrize(
    "keys",
    [
        np.array([3, 1, 3, 2]),
        np.array([3, 1, 3, 2], "uint8"),
        pd.Series([3, 1, 3, 2]),
        pa.array([3, 1, 3, 2]),
        pa.chunked_array([[3], [1, 3, 2]]),
        [np.int32(3), 1, np.int64(3), 2],
    ],
    ids=lambda keys: type(keys).__module__,
)
def test_numbers_are_keys_of_any_kind_in_the_order_of_their_rows(keys):
    bank = KeyedPCA(1).partial_fit(np.eye(4), keys)
    assert list(bank) == [3, 1, 2]
    assert all(type(key) is int for key in bank)
    bank = KeyedPCA(1).partial_fit(np.eye(4), np.array([f"k{key}" for key in [*bank, 1]]))
    assert list(bank) == ["k3", "k1", "k2"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["a", "b", 1.5], "row 2: key must be a str, an int or None, not 1.5"),
        (["a", True, "b"], "row 1: key must"),
        (["a", float("nan"), "b"], "row 1: key must"),
        (["a", ["x"], "b"], "row 1: key must"),
        (["a", "\ud800", "b"], "row 1: .*UTF-8"),
        (["a", "b"], r"shape \(2,\): give one for each of the 3 rows"),
        (np.zeros((3, 1), int), r"shape \(3, 1\)"),
        ("abc", "give one key for each"),
        (None, "give one key for each"),
        (np.array([1.0, 2.0, 3.0]), "row 0: key must"),
    ],
)
def test_what_is_no_key_is_refused_by_row_and_nothing_is_learned(keys, message):
    bank = KeyedPCA(1)
    with pytest.raises(ValueError, match=message):
        bank.partial_fit(np.eye(3), keys)
    assert len(bank) == 0


def test_unknown_keys_are_named():
    bank = KeyedPCA(1)
    with pytest.raises(NotFittedError, match="KeyedPCA has not seen any row"):
        bank.transform(np.eye(3), [1, 2, 3])
    with pytest.raises(UnknownKeyError):
        bank["a"]
    bank.partial_fit(np.eye(3), ["a", "b", "a"])
    with pytest.raises(KeyError) as error:
        bank.transform(np.eye(3), ["a", "x", "y"])
    assert str(error.value).startswith("row 1: key 'x' has no model")
    assert "2 of 3 keys have none" in str(error.value)
    for missing in ("c", 1, True, 1.0, None, ["a"], ()):
        with pytest.raises((UnknownKeyError, TypeError)):
            bank[missing]
    with pytest.raises(UnknownKeyError):
        bank.decay(0.5, ["a", "nobody"])
    assert bank["a"].weight_ == 2


# --- rows -----------------------------------------------------------------------------------------


def test_bad_rows_are_named_and_change_nothing():
    bank = KeyedPCA(1).partial_fit(np.eye(3), [1, 2, 1])
    bad = np.eye(3)
    bad[1, 2] = np.nan
    for X, keys, weights, message in [
        (bad, [1, 2, 1], None, "row 1, key 2, feature 2 is nan"),
        (np.eye(4), [1, 2, 1, 2], None, "4 features, but 3 are expected"),
        (np.eye(3), [1, 2, 1], [1.0, -1.0, 1.0], "row 1: the weight"),
        (np.eye(3), [1, 2, 1], [0.0, 0.0, 0.0], "weights of all rows are zero"),
        (np.eye(3), [1, 9], None, "keys have shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            bank.partial_fit(X, keys, weights)
    assert (len(bank), bank[1].n_samples_seen_) == (2, 2)
    assert bank.partial_fit(np.empty((0, 3)), []) is bank


def test_frames_sparse_rows_and_rows_of_no_weight():
    X = np.abs(np.random.default_rng(0).normal(size=(12, 3)))
    keys = np.arange(12) % 3
    plain = KeyedPCA(2).partial_fit(X, keys)
    frame = KeyedPCA(2).partial_fit(pd.DataFrame(X, columns=list("abc")), keys)
    assert frame.feature_names_in_.tolist() == ["a", "b", "c"]
    assert frame[0].feature_names_in_.tolist() == ["a", "b", "c"]
    turned = pd.DataFrame(X[:, ::-1], columns=list("cba"))
    np.testing.assert_array_equal(frame.transform(turned, keys), plain.transform(X, keys))
    sparse = KeyedPCA(2).partial_fit(scipy.sparse.csr_array(X), keys)
    np.testing.assert_array_equal(sparse.transform(X, keys), plain.transform(X, keys))
    weights = (keys != 2).astype(float)
    assert list(KeyedPCA(2).partial_fit(X, keys, weights)) == [0, 1]


def test_rows_are_never_changed():
    X = np.random.default_rng(0).normal(size=(40, 5))
    for dtype in ("float32", "float64"):
        rows = X.astype(dtype)
        kept = rows.copy()
        rows.setflags(write=False)
        bank = KeyedPCA(2).partial_fit(rows, np.zeros(40, int)).partial_fit(rows, [7] * 40)
        bank.transform(rows, [7] * 40)
        np.testing.assert_array_equal(rows, kept)


@pytest.mark.parametrize("keys", ["ab", b"ab", 7, None, {"a", "b"}])
def test_what_is_no_list_of_keys_is_refused_and_nothing_changes(keys):
    bank = KeyedPCA(1).partial_fit(np.eye(3), ["a", "b", "ab"])
    before = [checkpoint.to_bytes() for checkpoint in bank.checkpoints()]
    with pytest.raises(ValueError, match=r"is not accepted: give one key for each"):
        bank.partial_fit(np.eye(2, 3), keys)
    if keys is not None and not isinstance(keys, set):  # all keys, and some in any order
        for use in (lambda: bank.decay(0.5, keys), lambda: list(bank.checkpoints(keys))):
            with pytest.raises(ValueError, match="give a list of keys"):
                use()
    assert [checkpoint.to_bytes() for checkpoint in bank.checkpoints()] == before


@pytest.mark.parametrize("n_components", [0.9, "parallel"])
def test_a_number_of_components_that_eigenvalues_say_is_refused(n_components):
    with pytest.raises(ValueError, match="one number of components"):
        KeyedPCA(n_components).partial_fit(np.eye(3), ["a", "b", "b"])


@pytest.mark.parametrize("other", [None, "a", StreamingPCA(1), []])
def test_only_banks_are_merged_into_banks(other):
    with pytest.raises(TypeError, match="merge takes a KeyedPCA, not"):
        KeyedPCA(1).partial_fit(np.eye(3), ["a", "b", "b"]).merge(other)
