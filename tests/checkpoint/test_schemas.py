"""Bytes and files of every schema so far are read, and say what they said when they were written.

`data/schema_N.json` holds what schema N wrote of two components of `ROWS`: `to_bytes` and
`to_parquet_bytes`, deflated; with `scale=True` from schema 2 on.
"""

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from streampca import Checkpoint, StreamingPCA
from streampca.checkpoint import CheckpointError
from streampca.monitor import Monitor

ROWS = np.arange(12.0).reshape(4, 3) ** 2
DATA = Path(__file__).parent / "data"


def saved(schema, how):
    text = json.loads((DATA / f"schema_{schema}.json").read_text())[how]
    return zlib.decompress(base64.b64decode(text))


READERS = {"checkpoint": Checkpoint.from_bytes, "file": Checkpoint.from_parquet_bytes}


@pytest.mark.parametrize("how", READERS)
@pytest.mark.parametrize("schema", [1, 2])
def test_old_bytes_are_read_and_gone_on_from(schema, how):
    found = READERS[how](saved(schema, how))
    assert (found.key, found.window_end, found.n_samples_seen) == ("press 4", 60_000_000, 4)
    scaled = schema > 1
    assert (found.scale is not None) == scaled
    assert found.mean.tolist() == ROWS.mean(axis=0).tolist()
    S = np.corrcoef(ROWS.T) if scaled else np.cov(ROWS.T)
    np.testing.assert_allclose(found.explained_variance, np.linalg.eigvalsh(S)[:0:-1], rtol=1e-9)
    pca = StreamingPCA.from_checkpoint(found)
    assert pca.scale is scaled
    both = np.vstack([ROWS, ROWS + 1])
    again = pca.partial_fit(ROWS + 1)
    anew = StreamingPCA(2, scale=scaled).fit(both)
    np.testing.assert_allclose(again.explained_variance_, anew.explained_variance_)


@pytest.mark.parametrize("schema", [1, 2])
def test_old_bytes_are_of_one_content(schema):
    one, other = (read(saved(schema, how)) for how, read in READERS.items())
    assert one == other
    assert Checkpoint.from_bytes(one.to_bytes()) == one


def test_a_scale_is_part_of_what_the_checksum_covers():
    batch = Checkpoint.from_bytes(saved(2, "checkpoint")).to_record_batch()
    at = batch.schema.get_field_index("scale")
    other = Checkpoint.from_bytes(saved(1, "checkpoint")).to_record_batch().column("scale")
    for column in (other, Checkpoint.from_bytes(saved(2, "checkpoint")).to_record_batch()["mean"]):
        changed = batch.set_column(
            at, batch.schema.field(at), column.cast(batch.schema.field(at).type)
        )
        with pytest.raises(CheckpointError, match="checksum"):
            Checkpoint.from_record_batch(changed)


def test_a_file_of_schema_2_without_the_column_is_no_checkpoint():
    batch = Checkpoint.from_bytes(saved(2, "checkpoint")).to_record_batch()
    with pytest.raises(CheckpointError, match="0 columns named 'scale'"):
        Checkpoint.from_record_batch(batch.drop_columns(["scale"]))


@pytest.mark.parametrize(
    ("scale", "message"),
    [([1.0, 2.0], "shape"), ([1.0, 0.0, 1.0], "above 0"), ([1.0, np.nan, 1.0], "NaN")],
)
def test_a_scale_that_is_none_is_refused(scale, message):
    fields = dict(vars(Checkpoint.from_bytes(saved(1, "checkpoint"))))
    fields.pop("_model", None)
    with pytest.raises(ValueError, match=message):
        Checkpoint(**fields | {"scale": np.array(scale)})


def test_a_monitor_reads_the_units_off_the_checkpoint():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(400, 6))
    units = 10.0 ** np.arange(-3.0, 3.0)
    sd = X.std(axis=0, ddof=1)
    scaled = Monitor(StreamingPCA(2, scale=True).fit(X * units))
    plain = Monitor(StreamingPCA(2).fit(X / sd))
    np.testing.assert_allclose(scaled.spe(X * units), plain.spe(X / sd), rtol=1e-8)
    np.testing.assert_allclose(scaled.t2(X * units), plain.t2(X / sd), rtol=1e-8)
    np.testing.assert_allclose(scaled.spe_limit(0.99), plain.spe_limit(0.99), rtol=1e-8)
    for method in ("spe_contributions", "t2_contributions"):
        one, other = getattr(scaled, method)(X * units), getattr(plain, method)(X / sd)
        np.testing.assert_allclose(one, other, atol=1e-8)
