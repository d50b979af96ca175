"""Checkpoints written by older versions are read, and gone on from, by this one."""

from pathlib import Path

import golden
import numpy as np
import oracle
import pytest

from streampca import Checkpoint, StreamingPCA
from streampca.wire.sealed import SCHEMA_VERSION

FOLDER = Path(__file__).parent / "golden"
VERSIONS = range(1, SCHEMA_VERSION + 1)
every = pytest.mark.parametrize("case", golden.CASES)
each_version = pytest.mark.parametrize("version", VERSIONS)


def read(version: int, case: str, form: str) -> Checkpoint:
    data = (FOLDER / f"schema_{version}" / f"{case}.{form}").read_bytes()
    return Checkpoint.from_bytes(data) if form == "bytes" else Checkpoint.from_parquet_bytes(data)


def gone_on(saved: Checkpoint, case: str) -> StreamingPCA:
    return StreamingPCA.from_checkpoint(saved).partial_fit(golden.rows(case)[golden.FIRST :])


def assert_same(one, other, case):
    """Both name the same directions, variances and means; which way a direction points is free."""
    tight = 1e-4 if case == "float32" else 1e-9
    signs = np.sign((one.components_ * other.components_).sum(axis=1, keepdims=True))
    for name in ("explained_variance_", "components_", "mean_"):
        wanted = getattr(other, name) * (signs if name == "components_" else 1)
        np.testing.assert_allclose(
            getattr(one, name), wanted, rtol=0, atol=tight * np.abs(wanted).max(), err_msg=name
        )


@each_version
def test_every_case_of_every_version_is_stored(version):
    stored = {path.name for path in (FOLDER / f"schema_{version}").iterdir()}
    assert stored == {f"{case}.{form}" for case in golden.CASES for form in ("bytes", "parquet")}


@every
@each_version
def test_both_forms_hold_the_same(version, case):
    one, other = read(version, case, "bytes"), read(version, case, "parquet")
    assert one == other
    assert (one.key, one.window_end) == (golden.KEYS.get(case), golden.END)
    assert one.n_samples_seen == golden.FIRST


@every
@each_version
def test_what_was_learned_is_what_this_version_learns(version, case):
    saved = StreamingPCA.from_checkpoint(read(version, case, "bytes"))
    assert_same(saved, StreamingPCA.from_checkpoint(golden.checkpoint(case)), case)


@every
@each_version
def test_what_was_solved_is_read_as_it_was(version, case):
    saved = read(version, case, "bytes")
    pca = StreamingPCA.from_checkpoint(saved)
    np.testing.assert_array_equal(
        pca.transform(golden.rows(case)), saved.transform(golden.rows(case))
    )
    np.testing.assert_array_equal(pca.explained_variance_, saved.explained_variance)


@every
@each_version
def test_it_goes_on_as_if_it_had_not_stopped(version, case):
    resumed = gone_on(read(version, case, "parquet"), case)
    assert resumed.n_samples_seen_ == golden.ALL
    assert_same(resumed, golden.estimator(case).partial_fit(golden.rows(case)), case)


@each_version
@pytest.mark.parametrize("case", ["dense", "all-components"])
def test_it_goes_on_to_the_eigenvectors_of_all_rows(version, case):
    """The oracle is numpy on all rows at once."""
    pca = gone_on(read(version, case, "bytes"), case)
    X = golden.rows(case)
    values, vectors = np.linalg.eigh(np.cov(X, rowvar=False))
    p = pca.n_components_
    np.testing.assert_allclose(pca.explained_variance_, values[::-1][:p], rtol=1e-10)
    assert oracle.leading_sines(pca.components_, vectors.T[::-1][:p]).max() < 1e-7
