"""What workers have learned becomes one model: parts as bytes, checkpoints, estimators."""

import copy
import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merged import FORMS, NAMES, NOTHING, X, Y, assert_is_of, pairs_of, pca_of

from streampca import (
    StreamingPCA,
    StreamingReducedRankRegression,
    merge_all,
)
from streampca.learning import learner as learner_module

# --- all forms ------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 400), max_size=7),
    forms=st.lists(st.sampled_from(sorted(FORMS)), min_size=8, max_size=8),
    gaps=st.lists(st.sampled_from(sorted(NOTHING)), min_size=8, max_size=8),
    named=st.booleans(),
)
def test_parts_of_any_form_and_size_are_one_stream(cuts, forms, gaps, named):
    bounds = [0, *sorted(cuts), 400]
    parts = []
    for (start, stop), form, gap in zip(itertools.pairwise(bounds), forms, gaps, strict=False):
        rows = X[start:stop]
        pca = pca_of(pd.DataFrame(rows, columns=NAMES) if named else rows)
        parts.append(NOTHING[gap])
        parts.append(pca.part() if stop == start else FORMS[form](pca))
    merged = merge_all(part for part in parts)
    assert_is_of(merged, X)
    assert merged._feature_names == (NAMES if named else None)


def test_targets_come_with_their_rows():
    whole = pairs_of(slice(None))
    parts = [pairs_of(slice(i, None, 4)) for i in range(4)]
    for form in (
        parts,
        [part.part() for part in parts],
        [None, parts[0], *map(type(parts[0]).part, parts[1:])],
    ):
        merged = merge_all(form)
        np.testing.assert_allclose(merged.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(merged.intercept_, whole.intercept_, rtol=1e-9)
        assert merged.n_samples_seen_ == 400


def test_a_single_target_stays_a_vector():
    halves = [StreamingReducedRankRegression().partial_fit(X[i::2], Y[i::2, 0]) for i in (0, 1)]
    merged = merge_all([half.part() for half in halves])
    assert merged.predict(X[:3]).shape == (3,)
    assert merged.coef_.shape == (5,)


def test_parts_keep_weights_forgetting_and_parameters():
    weights = np.random.default_rng(3).uniform(0.5, 2, 400)
    options = {"n_components": 2, "half_life": 90.0, "whiten": True, "dtype": "float64"}
    halves = [
        StreamingPCA(**options).partial_fit(X[i], sample_weight=weights[i])
        for i in (slice(0, 200), slice(200, 400))
    ]
    by_hand = copy.deepcopy(halves[0]).merge(halves[1])
    merged = merge_all([half.part() for half in halves])
    assert merged.get_params() == by_hand.get_params()
    np.testing.assert_array_equal(merged.explained_variance_, by_hand.explained_variance_)
    assert merged.weight_ == by_hand.weight_


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_the_same_parts_give_the_same_bits_wherever_they_are_merged(memory):
    parts = [pca_of(X[i::7], memory=memory).part() for i in range(7)]
    first, second = merge_all(parts), merge_all(iter(parts))
    assert first.checkpoint().to_bytes() == second.checkpoint().to_bytes()
    tree = merge_all([merge_all(parts[:3]).part(), None, merge_all(parts[3:]).part()])
    assert_is_of(tree, X, rtol=1e-9)


def test_a_merged_model_goes_on_learning():
    merged = merge_all([pca_of(X[:150]).part(), pca_of(X[150:200]).part()])
    assert_is_of(merged.partial_fit(X[200:]), X)


# --- nothing changes, nothing is solved -----------------------------------------------------------


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("form", ["part", "merge_all", "merge"])
def test_what_is_merged_does_not_change(memory, form):
    """To the bit, also of the rows that wait: minibatches are cut where they would have been."""
    models = [pca_of(X[i::3], memory=memory, batch_size=32) for i in range(3)]
    before = [pickle.dumps(model) for model in models]
    if form == "part":
        for model in models:
            model.part()
    elif form == "merge_all":
        merge_all(models).partial_fit(X)
    else:
        StreamingPCA(2, memory=memory).merge(models[0]).merge(models[1]).merge(models[2])
    assert [pickle.dumps(model) for model in models] == before


def test_neither_a_part_nor_merging_solves(monkeypatch):
    models = [pca_of(X[i::3]) for i in range(3)]

    def refuse(*_):
        raise AssertionError("solved")

    monkeypatch.setattr(learner_module.Learner, "model", refuse)
    monkeypatch.setattr(learner_module.Learner, "_model_of_moments", refuse)
    assert merge_all([model.part() for model in models]).n_samples_seen_ == 400


def test_parts_are_folded_one_at_a_time():
    """A generator sees that the part before is gone: nothing holds all of them."""
    import gc
    import weakref

    class Watched(bytearray):
        pass

    gone = []

    def parts():
        last = None
        for i in range(5):
            if last is not None:
                gc.collect()
                gone.append(last() is None)
            data = Watched(pca_of(X[i::5]).part())
            last = weakref.ref(data)
            yield data
            del data

    merge_all(parts())
    assert gone == [True] * 4


def test_without_rows_the_result_has_none_and_keeps_its_parameters():
    merged = merge_all([None, StreamingPCA(3, half_life=7.0).part(), b""])
    assert (merged.n_components, merged.half_life) == (3, 7.0)
    assert not merged.__sklearn_is_fitted__()
    assert merge_all([merged.part()]).part() == merged.part()
    model = merge_all([StreamingReducedRankRegression(2, ridge=0.5).part()])
    assert isinstance(model, StreamingReducedRankRegression)
    assert model.ridge == 0.5
    for nothing in ([], [None], [b"", None], iter(())):
        with pytest.raises(ValueError, match="there is no part"):
            merge_all(nothing)
