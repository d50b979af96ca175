"""Models that are merged match by the names of their features; what does not fit is refused."""

import copy
import itertools

import numpy as np
import pandas as pd
import pytest
from extras import torch
from merged import NAMES, X, Y, assert_is_of, pairs_of, pca_of

from streampca import (
    Checkpoint,
    CheckpointStore,
    StreamingPCA,
    StreamingReducedRankRegression,
    merge_all,
)
from streampca.wire import WireError

# --- names ----------------------------------------------------------------------------------------


def frame(rows, names=NAMES):
    return pd.DataFrame(rows, columns=NAMES)[list(names)]


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("order", list(itertools.permutations(NAMES))[1::17])
def test_columns_in_another_order_are_matched_by_name(memory, order):
    mine = pca_of(frame(X[:150]), memory=memory)
    theirs = pca_of(frame(X[150:], order), memory=memory)
    for merged in (
        merge_all([mine, theirs]),
        merge_all([mine.part(), theirs.checkpoint()]),
        copy.deepcopy(mine).merge(theirs),
    ):
        assert_is_of(merged, X, rtol=1e-9)
        assert tuple(merged.feature_names_in_) == NAMES


def test_targets_in_another_order_are_matched_by_name():
    targets = pd.DataFrame(Y, columns=["a", "b", "c"])
    halves = [slice(0, 150), slice(150, 400)]
    first = StreamingReducedRankRegression().partial_fit(frame(X[halves[0]]), targets[halves[0]])
    other = StreamingReducedRankRegression().partial_fit(
        frame(X[halves[1]], NAMES[::-1]), targets[halves[1]][["c", "a", "b"]]
    )
    whole = StreamingReducedRankRegression().partial_fit(X, Y)
    for merged in (merge_all([first.part(), other.part()]), first.merge(other)):
        np.testing.assert_allclose(merged.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
        assert list(merged.target_names_in_) == ["a", "b", "c"]


def test_a_model_without_names_takes_those_it_merges_and_keeps_to_them():
    unnamed = pca_of(X[:100])
    unnamed.merge(pca_of(frame(X[100:200])))
    assert tuple(unnamed.feature_names_in_) == NAMES
    unnamed.merge(pca_of(frame(X[200:300], NAMES[::-1])))
    unnamed.merge(pca_of(X[300:]))
    assert_is_of(unnamed, X)
    np.testing.assert_allclose(
        unnamed.transform(frame(X, NAMES[::-1])), unnamed.transform(frame(X))
    )


@pytest.mark.parametrize("kind", [StreamingPCA, StreamingReducedRankRegression])
def test_other_names_are_refused_by_name_and_nothing_changes(kind):
    def of(names):
        rows = pd.DataFrame(X, columns=names)
        return (
            kind(2).partial_fit(rows, Y) if kind is not StreamingPCA else kind(2).partial_fit(rows)
        )

    mine, theirs = of(NAMES), of((*NAMES[:3], "dust", "mud"))
    before = mine.part()
    message = r"missing: 'sand', 'salt'; unexpected: 'dust', 'mud'"
    with pytest.raises(ValueError, match=message):
        mine.merge(theirs)
    with pytest.raises(ValueError, match=f"part 2: .*{message}"):
        merge_all([None, mine, theirs.part()])
    assert mine.part() == before


# --- features that no row has had -----------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_a_feature_unseen_on_one_side_stands_where_the_other_side_has_it(turned):
    rows = X.copy()
    rows[:150, 2] = np.nan
    parts = [
        StreamingPCA(2, missing="impute").partial_fit(rows[i])
        for i in (slice(0, 150), slice(150, 400))
    ]
    parts = parts[::-1] if turned else parts
    for merged in (
        merge_all([p.part() for p in parts]),
        merge_all(parts),
        parts[0].merge(parts[1]),
    ):
        assert merged.mean_[2] == pytest.approx(np.nanmean(rows[:, 2]))
        np.testing.assert_allclose(merged.mean_[[0, 1, 3, 4]], X[:, [0, 1, 3, 4]].mean(0))


def test_a_feature_unseen_on_both_sides_stays_so():
    rows = X.copy()
    rows[:300, 2] = np.nan
    parts = [
        StreamingPCA(2, missing="impute").partial_fit(rows[i]).part()
        for i in (slice(0, 150), slice(150, 300))
    ]
    merged = merge_all(parts).partial_fit(rows[300:])
    assert merged.mean_[2] == pytest.approx(rows[300:, 2].mean(), rel=1e-6)


# --- what is refused ------------------------------------------------------------------------------


WRONG = {
    "text": "part",
    "a number": 3,
    "an array": X,
    "a list": [pca_of(X).part()],
    "a dictionary": {"part": b""},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_anything_else_is_named_by_its_place_and_kind(wrong):
    kind = type(WRONG[wrong]).__name__
    with pytest.raises(TypeError, match=f"part 1: merge_all takes .*; got {kind}"):
        merge_all([pca_of(X), WRONG[wrong]])
    for model in (pca_of(X), pairs_of(slice(None))):
        with pytest.raises(TypeError, match=f"merge takes a Streaming.*, not {kind}"):
            model.merge(WRONG[wrong])


@pytest.mark.parametrize(
    "alone", [b"bytes", "text", {"a": 1}, pca_of(X), pca_of(X).checkpoint(), 3, None]
)
def test_one_part_is_no_list_of_parts(alone):
    with pytest.raises(TypeError, match="give a list of them"):
        merge_all(alone)


def test_bytes_and_checkpoints_are_for_merge_all():
    pca = pca_of(X)
    for other in (pca.part(), pca.checkpoint(), pca.checkpoint().to_bytes()):
        with pytest.raises(TypeError, match="merge_all"):
            pca.merge(other)
    assert pca.n_samples_seen_ == 400


def test_from_checkpoint_says_how_a_checkpoint_is_had(tmp_path):
    pca = pca_of(X)
    store = CheckpointStore(tmp_path)
    cases = [
        (pca.checkpoint().to_bytes(), "bytes: Checkpoint.from_bytes"),
        (pca.part(), "merge_all"),
        (store, r"store.latest\(key\)"),
        (str(tmp_path), r"CheckpointStore\(path\)"),
        (tmp_path, r"CheckpointStore\(path\)"),
        (pca, r"StreamingPCA: give its checkpoint\(\)"),
        (None, "not NoneType"),
        (3, "not int"),
    ]
    for given_, message in cases:
        with pytest.raises(TypeError, match=f"takes a Checkpoint, .*{message}"):
            StreamingPCA.from_checkpoint(given_)


def test_a_checkpoint_without_moments_is_named():
    bare = pca_of(X).checkpoint().without_moments()
    for given_ in (bare, bare.to_bytes()):
        with pytest.raises(ValueError, match="part 0: .*without moments"):
            merge_all([given_])


def test_torn_foreign_and_other_bytes_are_named_by_their_place():
    part, checkpoint = pca_of(X).part(), pca_of(X).checkpoint().to_bytes()
    for bad in (
        part[:-1],
        part[5:],
        b"\x00" * 40,
        b"x",
        checkpoint[:-9],
        checkpoint[:100] + checkpoint[104:],
    ):
        with pytest.raises(WireError, match="part 1: "):
            merge_all([part, bad])
    with pytest.raises(TypeError, match="part 1: this is a part of a StreamingReducedRank"):
        merge_all([part, pairs_of(slice(None)).part()])
    with pytest.raises(TypeError, match="part 1: this is a part of components"):
        merge_all([pairs_of(slice(None)), part])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: pca_of(X[:, :4]), "4 features"),
        (lambda: pca_of(X, memory="factored"), "factored"),
        (lambda: pca_of(X, center=False), "not centred"),
    ],
)
def test_parts_that_do_not_fit_are_refused_and_nothing_changes(other, message):
    mine = pca_of(X)
    before, fresh = mine.part(), StreamingPCA(2, center=True, memory="dense")
    with pytest.raises(ValueError, match=f"part 1: .*{message}"):
        merge_all([mine, other()])
    with pytest.raises(ValueError, match=message):
        mine.merge(other())
    assert mine.part() == before
    if "4" not in message:
        with pytest.raises(ValueError, match=message):
            fresh.merge(other())
        assert not fresh.__sklearn_is_fitted__()


@pytest.mark.skipif(not torch, reason="first-order steps need torch")
def test_what_lies_in_steps_is_not_in_moments():
    model = StreamingPCA(2, solver="first_order", random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match="first_order"):
        model.part()
    for given_ in (model, model.checkpoint()):
        with pytest.raises(ValueError, match="part 0: .*first_order"):
            merge_all([given_])
    model.merge(StreamingPCA(2, solver="first_order", random_state=0).partial_fit(X))


# --- faces ----------------------------------------------------------------------------------------


def test_the_class_for_scikit_learn_gives_parts_too():
    sklearn = pytest.importorskip("streampca.sklearn")
    halves = [sklearn.StreamingPCA(2).fit(frame(X[i::2])) for i in (0, 1)]
    for parts in (
        halves,
        [half.part() for half in halves],
        [sklearn.StreamingPCA(2).part(), *halves],
    ):
        merged = merge_all(parts)
        assert_is_of(merged, X)
        assert tuple(merged.feature_names_in_) == NAMES
    other = sklearn.StreamingPCA(2).merge(halves[0])
    assert list(other.feature_names_in_) == list(NAMES)
    assert_is_of(other.merge(halves[1]), X)


def test_moments_of_beam_are_parts():
    coders = pytest.importorskip("beam_pipelines.rows.coders")
    pca = pca_of(frame(X))
    moments, names = coders.moments_from_bytes(pca.part())
    assert names == NAMES
    assert_is_of(merge_all([coders.moments_to_bytes(moments, names), pca_of(X[:0])]), X)


def test_a_checkpoint_of_the_merged_model_is_that_of_one_stream():
    merged = merge_all([pca_of(X[i::3]).part() for i in range(3)])
    again = Checkpoint.from_bytes(merged.checkpoint().to_bytes())
    assert_is_of(StreamingPCA.from_checkpoint(again), X)
