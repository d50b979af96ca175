"""A model of a bank is an estimator: it learns, answers, is copied, merged and stored."""

import copy
import pickle

import numpy as np
import pytest
from banks import assert_same
from sklearn.base import clone

from streampca import Checkpoint, KeyedPCA, StreamingPCA, UnknownKeyError


def test_a_view_learns_where_the_bank_keeps_it(bank):
    view, other = bank[2], bank[3].components_
    X = np.random.default_rng(1).normal(size=(30, 6)) * [1, 2, 3, 4, 5, 6]
    alone = StreamingPCA.from_checkpoint(view.checkpoint())
    assert view.partial_fit(X) is view
    alone.partial_fit(X)
    assert_same(bank[2], alone)
    np.testing.assert_array_equal(view.components_, bank[2].components_)
    np.testing.assert_array_equal(bank[3].components_, other)
    view.decay(0.25)
    assert bank[2].weight_ == pytest.approx(70 / 4)
    view.merge(StreamingPCA(3).partial_fit(X))
    assert bank[2].n_samples_seen_ == 100
    assert_same(view.fit(X), StreamingPCA(3).partial_fit(X))
    with pytest.raises(ValueError, match="0 sample"):
        view.fit(X[:0])
    with pytest.raises(ValueError, match="nan"):
        view.fit(X * np.nan)
    assert bank[2].n_samples_seen_ == 30


def test_a_view_answers_as_an_estimator(bank):
    X = np.random.default_rng(1).normal(size=(30, 6))
    view, alone = bank[2], StreamingPCA.from_checkpoint(bank[2].checkpoint())
    for verb in ("transform", "score_samples"):
        np.testing.assert_allclose(getattr(view, verb)(X), getattr(alone, verb)(X), rtol=1e-9)
    np.testing.assert_allclose(
        view.inverse_transform(view.transform(X)), alone.inverse_transform(alone.transform(X))
    )
    for name in ("loss_", "noise_variance_", "memory_", "n_features_in_", "n_components_"):
        assert (
            getattr(view, name) == pytest.approx(getattr(alone, name), rel=1e-9)
            if name != "memory_"
            else view.memory_ == "dense"
        )
    np.testing.assert_allclose(view.get_covariance(), alone.get_covariance())
    assert "KeyedPCA" in repr(view)
    assert "[2]" in repr(view)
    with pytest.raises(ValueError, match="the bank's"):
        view.set_params(n_components=2)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda view: pickle.loads(pickle.dumps(view))]
)
def test_a_copy_of_a_view_is_an_estimator_of_its_own(bank, copied):
    alone = copied(bank[1])
    assert type(alone) is StreamingPCA
    np.testing.assert_array_equal(alone.components_, bank[1].components_)
    alone.partial_fit(np.ones((3, 6)))
    assert (alone.n_samples_seen_, bank[1].n_samples_seen_) == (43, 40)
    fresh = clone(bank[1])
    assert type(fresh) is StreamingPCA
    assert fresh.n_components == 3


def test_a_copy_of_a_bank_goes_on_to_the_same_bits(bank):
    X, keys = np.random.default_rng(1).normal(size=(30, 6)), np.arange(30) % 7
    before = [member.n_samples_seen_ for member in map(bank.__getitem__, bank)]
    for twin in (copy.deepcopy(bank), pickle.loads(pickle.dumps(bank)), copy.copy(bank)):
        one = copy.deepcopy(bank)
        for each in (twin, one):
            each.partial_fit(X, keys)
        np.testing.assert_array_equal(twin.transform(X, keys), one.transform(X, keys))
    assert before == [member.n_samples_seen_ for member in map(bank.__getitem__, bank)]
    assert len(bank) == 5
    assert clone(bank).get_params() == bank.get_params()


# --- merging, deleting, checkpoints ---------------------------------------------------------------


def test_merged_banks_are_those_of_all_rows(bank):
    draws = np.random.default_rng(8)
    X, keys = draws.normal(size=(90, 6)), draws.integers(3, 9, 90)
    other = KeyedPCA(3).partial_fit(X, keys)
    for key in other:
        alone = (
            StreamingPCA.from_checkpoint(bank[key].checkpoint()) if key in bank else StreamingPCA(3)
        )
        alone.merge(StreamingPCA.from_checkpoint(other[key].checkpoint()))
        expected = copy.deepcopy(bank).merge(other)
        assert_same(expected[key], alone)
    untouched = KeyedPCA(3).merge(bank)
    assert list(untouched) == list(bank)
    assert bank.merge(KeyedPCA(3)) is bank
    with pytest.raises(ValueError, match="n_features"):
        bank.merge(KeyedPCA(3).partial_fit(np.eye(4), [1] * 4))
    with pytest.raises(ValueError, match="center"):
        bank.merge(KeyedPCA(3, center=False).partial_fit(X, keys))


def test_a_key_that_is_deleted_begins_anew_in_the_same_memory(bank):
    sizes = set()
    X = np.random.default_rng(1).normal(size=(40, 6))
    for key in range(5, 50):
        del bank[key - 5]
        assert key - 5 not in bank
        bank.partial_fit(X, [key] * 40)
        assert_same(bank[key], StreamingPCA(3).partial_fit(X))
        sizes.add(bank.nbytes)
    assert len(sizes) == 1
    with pytest.raises(UnknownKeyError):
        del bank[0]


def test_checkpoints_go_on_where_they_were_taken(bank):
    X, keys = np.random.default_rng(1).normal(size=(60, 6)), np.arange(60) % 6
    taken = [
        Checkpoint.from_bytes(checkpoint.to_bytes())
        for checkpoint in bank.checkpoints(window_start=0, window_end=60_000_000)
    ]
    assert [(c.key, c.window_end) for c in taken] == [(key, 60_000_000) for key in range(5)]
    back = KeyedPCA.from_checkpoints(taken)
    assert back.get_params() == bank.get_params() | {"dtype": None}
    for key in bank:
        np.testing.assert_array_equal(back[key].components_, bank[key].components_)
    for each in (bank, back):
        each.partial_fit(X, keys)
    np.testing.assert_array_equal(back.transform(X, keys), bank.transform(X, keys))
    (one,) = bank.checkpoints([3])
    assert StreamingPCA.from_checkpoint(one).n_samples_seen_ == bank[3].n_samples_seen_


def test_checkpoints_that_do_not_fit_are_refused(bank):
    one, two = list(bank.checkpoints([0, 1]))
    X = np.eye(6)
    for checkpoints, message in [
        ([], "no checkpoint"),
        ([one, one], "two checkpoints are of key 0"),
        ([one.without_moments()], "it has no moments"),
        ([StreamingPCA(3, memory="factored").fit(X).checkpoint(key=7)], "factored moments"),
        ([one, StreamingPCA(2).fit(X).checkpoint(key=7)], "parameters"),
        ([one, StreamingPCA(3).fit(np.eye(7)).checkpoint(key=7)], "n_features"),
        ([two, StreamingPCA(3, missing="impute").fit(X).checkpoint(key=7)], "parameters"),
        ([StreamingPCA(0.9).fit(X).checkpoint(key=7)], "whole number, or None"),
    ]:
        with pytest.raises(ValueError, match=message):
            KeyedPCA.from_checkpoints(checkpoints)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 4}, "n_components=4 is more than the 3 features"),
        ({"n_components": 0}, "n_components=0 is not accepted"),
        ({"n_components": 0.5}, "whole number, or None"),
        ({"half_life": -1.0}, "half_life=-1.0"),
        ({"half_life": 1.0, "forgetting_factor": 0.5}, "give one of them"),
        ({"dtype": "int8"}, "dtype='int8'"),
    ],
)
def test_parameters_are_checked_with_the_first_rows(parameters, message):
    bank = KeyedPCA(**parameters)
    with pytest.raises(ValueError, match=message):
        bank.partial_fit(np.eye(3), [1, 2, 3])
    assert len(bank) == 0


def test_parameters_that_rows_were_learned_with_do_not_change(bank):
    bank.set_params(n_components=2)
    with pytest.raises(ValueError, match="n_components has changed from 3 to 2"):
        bank.partial_fit(np.eye(6), [1] * 6)
    bank.set_params(n_components=3, half_life=4.0)
    assert bank.partial_fit(np.eye(6), [1] * 6)[1].weight_ < 25
    assert len(bank.fit(np.eye(6), [1] * 6)) == 1


def test_signs_are_kept_from_reading_to_reading(bank):
    draws, scales = np.random.default_rng(3), np.geomspace(100, 1, 6)
    bank.partial_fit(draws.normal(size=(500, 6)) * scales, np.arange(500) % 5)
    before = {key: bank[key].components_ for key in bank}
    for _ in range(5):
        bank.partial_fit(draws.normal(size=(20, 6)) * scales, np.arange(20) % 5)
        for key, C in before.items():
            assert ((bank[key].components_ * C).sum(axis=1) > 0.9).all()
            before[key] = bank[key].components_


def test_memory_is_that_of_the_moments():
    draws = np.random.default_rng(0)
    for n, m in ((50, 20), (50, 60), (8, 3), (8, 40)):
        keys = np.repeat(np.arange(500), m)
        bank = KeyedPCA(2).partial_fit(draws.normal(size=(len(keys), n)), keys)
        moments = 500 * 8 * n * min(n, m if 2 * m < n else n)
        counts = 500 * 8 * (n + 8)
        assert bank.nbytes < 1.3 * (moments + counts)
