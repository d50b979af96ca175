"""What earlier schemas wrote is read, gone on from, and joined with what is written now."""

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from beam_pipelines.rows.coders import moments_from_bytes
from streampca import Checkpoint, StreamingPCA
from streampca.moments import make_moments
from streampca.rows import Minibatch

X = np.arange(24.0).reshape(3, 8) ** 2 % 17
MORE = np.arange(40.0).reshape(5, 8) ** 2 % 13


def saved(schema):
    """A checkpoint and moments of X, as schema 1 (a matrix) and 2 (the rows) wrote them."""
    text = (Path(__file__).parent / "data" / f"moments_schema_{schema}.json").read_text()
    return {k: zlib.decompress(base64.b64decode(v)) for k, v in json.loads(text).items()}


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize("form", ["checkpoint", "parquet"])
def test_a_checkpoint_is_gone_on_from(schema, form):
    read = {"checkpoint": Checkpoint.from_bytes, "parquet": Checkpoint.from_parquet_bytes}[form]
    checkpoint = read(saved(schema)[form])
    assert (checkpoint.key, checkpoint.n_samples_seen) == ("press 4", 3)
    assert {1: "scatter", 2: "factor"}[schema] in checkpoint.moments
    pca = StreamingPCA.from_checkpoint(checkpoint).partial_fit(MORE)
    once = StreamingPCA(2).partial_fit(np.concatenate([X, MORE]))
    np.testing.assert_allclose(pca.explained_variance_, once.explained_variance_, rtol=1e-12)
    np.testing.assert_allclose(np.abs(pca.components_), np.abs(once.components_), atol=1e-12)


@pytest.mark.parametrize("ours", [1, 2, None])
@pytest.mark.parametrize("theirs", [1, 2, None])
def test_moments_of_all_schemas_are_joined(ours, theirs):
    def of(schema, rows):
        if schema is not None:
            return moments_from_bytes(saved(schema)["moments"])[0]
        moments = make_moments("dense", 8, dtype="float64")
        moments.update(Minibatch(rows))
        return moments

    left, right = of(ours, MORE), of(theirs, MORE)
    rows = np.concatenate([MORE if s is None else X for s in (ours, theirs)])
    left.merge(right)
    np.testing.assert_allclose(left.mean, rows.mean(0))
    np.testing.assert_allclose(left @ np.eye(8), np.cov(rows.T), atol=1e-12)
