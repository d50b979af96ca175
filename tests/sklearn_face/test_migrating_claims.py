"""Each row of the table in docs/migrating.md that sets IncrementalPCA beside StreamingPCA."""

import re
from pathlib import Path

import numpy as np
import oracle
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.pipeline import make_pipeline

from streampca import Checkpoint, StreamingPCA

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
RNG = np.random.default_rng(5)
X = RNG.normal(size=(600, 5)) @ RNG.normal(size=(5, 12)) + 0.3 * RNG.normal(size=(600, 12)) + 4
CLAIMS = {}


def claim(row):
    def add(check):
        CLAIMS[row] = check
        return check

    return add


def learned(model, rows=X, size=50):
    for start in range(0, len(rows), size):
        model.partial_fit(rows[start : start + size])
    return model


@claim("result")
def result():
    vectors = PCA(4).fit(X).components_
    for size in (1, 7, 50, 600):
        ours = learned(StreamingPCA(4), size=size)
        assert oracle.leading_sines(ours.components_, vectors).max() < 1e-9
    theirs = [learned(IncrementalPCA(4), size=size).components_ for size in (20, 200)]
    assert np.abs(theirs[0] - theirs[1]).max() > 1e-6


@claim("first batch")
def first_batch():
    with pytest.raises(ValueError, match="n_components"):
        IncrementalPCA(4).partial_fit(X[:3])
    assert StreamingPCA(4).partial_fit(X[:1]).components_.shape == (4, 12)


@claim("`n_components`")
def n_components():
    assert IncrementalPCA().partial_fit(X[:7]).components_.shape == (7, 12)
    assert StreamingPCA().partial_fit(X[:7]).components_.shape == (12, 12)
    shares = StreamingPCA(0.95).fit(X).explained_variance_ratio_
    assert shares.sum() >= 0.95 > shares[:-1].sum()


@claim("float32 rows")
def float32_rows():
    rows = X.astype("float32")
    theirs, ours = IncrementalPCA(4), StreamingPCA(4)
    assert theirs.partial_fit(rows[:50]).components_.dtype == "float32"
    assert theirs.partial_fit(rows[50:]).components_.dtype == "float64"
    assert learned(ours, rows).components_.dtype == ours.transform(rows).dtype == "float32"
    sums = [each for each in ours.checkpoint().moments.values() if np.ndim(each) == 2]
    assert sums
    assert all(each.dtype == "float64" for each in sums)


@claim("`partial_fit` of sparse rows")
def sparse_rows():
    rows = scipy.sparse.csr_array(np.where(X > 4, X, 0))
    with pytest.raises(TypeError, match="sparse"):
        IncrementalPCA(4).partial_fit(rows)
    dense = StreamingPCA(4).partial_fit(rows.toarray())
    sparse = StreamingPCA(4).partial_fit(rows)
    np.testing.assert_allclose(sparse.explained_variance_, dense.explained_variance_, rtol=1e-9)


@claim("`sample_weight`, NaN, forgetting, merging")
def sample_weight():
    weights = RNG.integers(1, 4, size=len(X))
    ours = StreamingPCA(4).partial_fit(X, sample_weight=weights)
    repeated = PCA(4).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(ours.explained_variance_, repeated.explained_variance_, rtol=1e-9)
    one, other = StreamingPCA(4).fit(X[:200]), StreamingPCA(4).fit(X[200:])
    one.merge(other)
    np.testing.assert_allclose(
        one.explained_variance_, PCA(4).fit(X).explained_variance_, rtol=1e-9
    )
    gaps = np.where(RNG.uniform(size=X.shape) < 0.02, np.nan, X)
    assert np.isfinite(StreamingPCA(4, missing="impute").fit(gaps).components_).all()
    assert StreamingPCA(4, half_life=10.0).fit(X).weight_ < 20


@claim("`partial_fit(X, y, ...)`")
def third_argument():
    y = np.arange(len(X))
    same = StreamingPCA(4).partial_fit(X, y).explained_variance_
    np.testing.assert_array_equal(same, StreamingPCA(4).partial_fit(X).explained_variance_)
    weighted = StreamingPCA(4).partial_fit(X, y, y + 1.0)
    assert not np.allclose(weighted.explained_variance_, same)


@claim("`copy`, `check_input`")
def rows_stay():
    rows = X.copy()
    StreamingPCA(4, copy=False).partial_fit(rows, check_input=False)
    np.testing.assert_array_equal(rows, X)
    rows[3, 2] = np.nan
    with pytest.raises(ValueError, match="row 3"):
        StreamingPCA(4).partial_fit(rows, check_input=False)


@claim("sign")
def sign():
    ours = StreamingPCA(4)
    before = ours.partial_fit(X[:100]).components_
    after = ours.partial_fit(X[100:]).components_
    assert ((before * after).sum(axis=1) > 0).all()


@claim("`noise_variance_` after many batches")
def noise():
    truth = PCA(4).fit(X).noise_variance_
    np.testing.assert_allclose(learned(StreamingPCA(4)).noise_variance_, truth, rtol=1e-9)
    assert abs(learned(IncrementalPCA(4)).noise_variance_ - truth) > 0.05 * truth


@claim("`batch_size`")
def batch_size():
    one = StreamingPCA(4, batch_size=3).fit(X).explained_variance_
    np.testing.assert_allclose(one, StreamingPCA(4, batch_size=500).fit(X).explained_variance_)


@claim("`score`, `score_samples`")
def score():
    assert not hasattr(IncrementalPCA, "score")
    ours, theirs = StreamingPCA(4).fit(X), PCA(4).fit(X)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-9)
    flat = X.copy()
    flat[:, 0] = 1.0
    singular = StreamingPCA(12).fit(flat)
    assert np.isfinite(singular.score_samples(flat)).all()
    assert singular.score_samples(X[:1] + 3)[0] == -np.inf


@claim("`get_precision` of rows of low rank")
def precision():
    low = X[:, :3] @ RNG.normal(size=(3, 12))
    ours = StreamingPCA(12).fit(low)
    C = ours.get_covariance()
    P = ours.get_precision()
    np.testing.assert_allclose(P, np.linalg.pinv(C, rcond=1e-10), atol=1e-8 * np.abs(P).max())


@claim("reading `components_`")
def reading():
    ours = StreamingPCA(4).partial_fit(X[:100])
    first = ours.components_
    assert first is ours.components_ or np.array_equal(first, ours.components_)
    ours.partial_fit(X[100:])
    assert not np.array_equal(first, ours.components_)


@claim("`var_`")
def variance():
    np.testing.assert_allclose(StreamingPCA(4).fit(X).var_, X.var(axis=0, ddof=1))
    np.testing.assert_allclose(IncrementalPCA(4).fit(X).var_, X.var(axis=0))


@claim("fitted attributes")
def attributes():
    ours = StreamingPCA(4).fit(X)
    with pytest.raises(AttributeError):
        ours.components_ = np.eye(4, 12)
    loaded = StreamingPCA.from_checkpoint(Checkpoint.from_bytes(ours.checkpoint().to_bytes()))
    np.testing.assert_array_equal(loaded.components_, ours.components_)


@claim("parameters changed between calls")
def parameters():
    ours = StreamingPCA(4).partial_fit(X[:300]).set_params(n_components=6, whiten=True)
    assert ours.partial_fit(X[300:]).components_.shape == (6, 12)
    np.testing.assert_allclose(ours.transform(X).std(axis=0, ddof=1), 1)
    with pytest.raises(ValueError, match="memory"):
        StreamingPCA(4).partial_fit(X).set_params(memory="factored").partial_fit(X)


@claim("pandas or polars out, metadata routing")
def containers():
    assert hasattr(IncrementalPCA, "set_output")
    assert not hasattr(StreamingPCA, "set_output")


@claim("subclass of `BaseEstimator`")
def subclass():
    assert not issubclass(StreamingPCA, BaseEstimator)
    assert clone(StreamingPCA(3)).get_params()["n_components"] == 3
    assert make_pipeline(StreamingPCA(3)).fit_transform(X).shape == (600, 3)


ROWS = re.findall(
    r"^\| (?!IncrementalPCA)(.+?) \|",
    PAGE.split("| | IncrementalPCA |")[1].split("\n\n")[0].split("|---|\n")[1],
    re.M,
)


@pytest.mark.parametrize("row", ROWS)
def test_what_the_table_says_is_so(row):
    CLAIMS[row]()


def test_no_claim_is_left_out():
    assert set(ROWS) == set(CLAIMS)
