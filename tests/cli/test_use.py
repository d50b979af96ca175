"""transform, score and export against what the library itself says of the same rows."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from streampca import CheckpointStore
from streampca.cli.commands import app
from streampca.monitor import Monitor

NAMES = ["component_1", "component_2"]


@pytest.fixture
def store(cli, write, rows):
    """A store of two components, and a file of new rows of which one is broken."""
    cli("fit", write("a.csv", rows[:2000]), "-n", 2, "-o", "store", "--checkpoint-rows", 1000)
    new = rows[2000:].copy()
    new[17, 1] += 40
    write("new.parquet", new, id=list(range(1000)))
    return CheckpointStore("store").latest(), new


def read(path):
    if path.endswith(".jsonl"):
        return pd.read_json(path, lines=True, precise_float=True)
    return pd.read_csv(path) if path.endswith(".csv") else pq.read_table(path).to_pandas()


@pytest.mark.parametrize("target", ["z.csv", "z.jsonl", "z.parquet"])
@pytest.mark.parametrize("source", ["new.parquet", "new.csv", "new.jsonl"])
def test_transform_writes_what_transform_returns(cli, write, store, source, target):
    model, new = store
    write(source, new, id=list(range(1000)))
    cli("transform", "store", source, "-o", target, "--keep", "id")
    found = read(target)
    assert found["id"].astype(int).tolist() == list(range(1000))
    np.testing.assert_allclose(found[NAMES].to_numpy(), model.transform(new), rtol=1e-12)


def test_transform_to_a_pipe(cli, store):
    model, new = store
    lines = cli("transform", "store", "new.parquet").out.splitlines()
    assert lines[0].replace('"', "") == ",".join(NAMES)
    found = [list(map(float, line.split(","))) for line in lines[1:]]
    np.testing.assert_allclose(found, model.transform(new), rtol=1e-12)
    said = cli("transform", "store", "new.parquet", "--output-format", "jsonl").out
    assert json.loads(said.splitlines()[0])["component_1"] == pytest.approx(found[0][0])


def test_columns_are_found_by_name_in_any_order(cli, write, store):
    model, new = store
    frame = pd.DataFrame(new, columns=model.feature_names)
    frame[[*reversed(model.feature_names)]].assign(more="x").to_csv("other.csv", index=False)
    cli("transform", "store", "other.csv", "-o", "z.parquet")
    np.testing.assert_allclose(read("z.parquet")[NAMES], model.transform(new), rtol=1e-12)
    frame.drop(columns="heat").to_csv("less.csv", index=False)
    assert "there is no column 'heat'" in cli("transform", "store", "less.csv", code=2).err


def test_each_row_by_the_model_of_its_key(cli, write, rows):
    press = ["a", "b"] * 1500
    path = write("a.csv", rows, press=press)
    cli("fit", path, "--key-column", "press", "-n", 2, "-o", "store")
    press[7] = "c"
    path = write("b.csv", rows, press=press)
    given = [path, "--key-column", "press"]
    said = cli("transform", "store", *given, code=2).err
    assert "b.csv, row 7 (line 9): there is no model of key 'c'" in said
    cli("transform", "store", *given, "-o", "z.parquet", "--bad-rows", "bad.jsonl")
    found = read("z.parquet")
    assert len(found) == 2999
    for key, start in (("a", 0), ("b", 1)):
        model = CheckpointStore("store").latest(key)
        kept = np.delete(np.arange(start, 3000, 2), 3 if key == "b" else [])
        of_key = found[found["press"] == key][NAMES]
        np.testing.assert_allclose(of_key, model.transform(rows[kept]), rtol=1e-12)
    assert json.loads(Path("bad.jsonl").read_text())["key"] == "c"
    scores = cli("score", "store", *given, "--bad-rows", "skip", "--json").json
    assert (scores["n_rows"], scores["n_bad_rows"]) == (2999, 1)


def test_a_model_of_another_time(cli, store):
    first = CheckpointStore("store").history()[0]
    _, new = store
    name = sorted(path.name for path in Path("store/none").iterdir())[0]
    cli("transform", f"store/none/{name}", "new.parquet", "-o", "z.parquet")
    np.testing.assert_allclose(read("z.parquet"), first.transform(new), rtol=1e-12)


@pytest.mark.parametrize("target", ["s.csv", "s.jsonl", "s.parquet"])
def test_score_writes_what_the_monitor_says(cli, store, target):
    model, new = store
    monitor = Monitor(model)
    said = cli("score", "store", "new.parquet", "-o", target, "--keep", "id", "--json").json
    found = read(target)
    np.testing.assert_allclose(found["spe"], monitor.spe(new), rtol=1e-9)
    np.testing.assert_allclose(found["t2"], monitor.t2(new), rtol=1e-9)
    assert said["limits"] == [
        {
            "key": None,
            "spe": monitor.spe_limit(0.99),
            "t2": monitor.t2_limit(0.99),
            "method": "theory",
        }
    ]
    over = (monitor.spe(new) > monitor.spe_limit()) | (monitor.t2(new) > monitor.t2_limit())
    assert found["alarm"].tolist() == over.tolist()
    assert said["n_alarms"] == over.sum()
    worst = said["alarms"][0]
    assert (worst["file"], worst["row"], worst["feature"]) == ("new.parquet", "row 17", "air")
    assert found["feature"][17] == "air"


def test_an_alarm_is_an_exit_code_where_asked(cli, store):
    cli("score", "store", "new.parquet")
    said = cli("score", "store", "new.parquet", "--fail-on-alarm", code=1)
    assert "new.parquet, row 17" in said.out
    cli("score", "store", "new.parquet", "--confidence", "0.99", "--json", "--show", 0)


def test_limits_from_normal_rows(cli, write, rows, store):
    model, _ = store
    write("normal.csv", rows[1000:2000])
    write("quiet.csv", rows[1000:2000])
    said = cli("score", "store", "quiet.csv", "--normal", "normal.csv", "--json").json
    spe = Monitor(model).spe(rows[1000:2000])
    assert said["limits"][0]["spe"] == pytest.approx(np.quantile(spe, 0.99), rel=0.05)
    assert said["n_spe_alarms"] == pytest.approx(10, abs=3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx_gives_what_transform_returns(cli, write, rows, dtype):
    onnxruntime = pytest.importorskip("onnxruntime")
    cli("fit", write("a.csv", rows), "-n", 3, "-o", "store", "--dtype", dtype)
    cli("export", "store", "-o", "m.onnx")
    model = CheckpointStore("store").latest()
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    X = rows.astype(dtype)
    (found,) = session.run(None, {"rows": X})
    assert found.dtype == dtype
    tolerance = 1e-3 if dtype == "float32" else 1e-11  # of coordinates of rows about 100 long
    np.testing.assert_allclose(found, model.transform(X), atol=tolerance)
    names = session.get_modelmeta().custom_metadata_map["feature_names"]
    assert json.loads(names) == list(model.feature_names)


def test_onnx_whitens_where_the_model_does(rows, cli):
    onnxruntime = pytest.importorskip("onnxruntime")
    from streampca import StreamingPCA

    pca = StreamingPCA(2, whiten=True).fit(rows)
    CheckpointStore("store").write(pca.checkpoint())
    cli("export", "store", "-o", "m.onnx")
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"rows": rows})
    np.testing.assert_allclose(found, pca.transform(rows), atol=1e-11)
    np.testing.assert_allclose(found.std(axis=0, ddof=1), 1, rtol=1e-9)


def test_npz_holds_every_array(cli, store):
    model, new = store
    cli("export", "store", "-o", "m.npz")
    with np.load("m.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["components"], model.components)
        assert arrays["feature_names"].tolist() == list(model.feature_names)
        Z = (new - arrays["mean"]) @ arrays["components"].T
    np.testing.assert_allclose(Z, model.transform(new), rtol=1e-9)


OF_ROWS = ["scores", "course", "biplot", "control", "event"]


@pytest.mark.parametrize("kind", ["scree", "elbow", "loadings", "drift", "acs", *OF_ROWS])
def test_figures_are_written(cli, store, kind, tmp_path):
    files = ["new.parquet", "--title", "Press 4"] if kind in OF_ROWS else []
    cli("plot", kind, "store", *files, "-o", "f.png")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    cli("plot", kind, "store", *files, "-o", "f.svg")
    assert "</svg>" in (tmp_path / "f.svg").read_text()


def test_serve_is_called_with_the_store(cli, store, monkeypatch):
    called = []
    monkeypatch.setattr("streampca.serve.serve", lambda *a, **k: called.append((a, k)))
    assert "not there yet" not in cli("serve", "store", "--port", 0).err
    assert "stroe: is not there yet" in cli("serve", "stroe", "--port", 0).err
    del called[1:]
    assert called == [(("store",), {"host": "127.0.0.1", "port": 0, "allowed_hosts": ()})]
    assert "a file, not a folder" in cli("serve", "a.csv", code=2).err


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("onnx", ["export", "store", "-o", "m.onnx"], "onnx"),
        ("matplotlib", ["plot", "scree", "store", "-o", "f.png"], "plot"),
    ],
)
def test_a_missing_extra_is_named(cli, store, monkeypatch, module, arguments, extra):
    for name in [n for n in sys.modules if n.startswith((module, "streampca.plots"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("streampca.plots", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 2
    assert said.stderr.startswith("error: ")
    assert f'pip install "streampca[{extra}]"' in said.stderr
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("whiten", [False, True])
def test_onnx_scales_where_the_model_does(rows, cli, whiten):
    onnxruntime = pytest.importorskip("onnxruntime")
    from streampca import StreamingPCA

    X = rows * [1e-3, 1.0, 1e4, 10.0]
    pca = StreamingPCA(2, scale=True, whiten=whiten).fit(X)
    CheckpointStore("store").write(pca.checkpoint())
    cli("export", "store", "-o", "m.onnx")
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"rows": X})
    np.testing.assert_allclose(found, pca.transform(X), atol=1e-9)


def test_fit_scale_learns_the_correlation_and_goes_on_with_it(cli, write, rows):
    X = rows * [1e-3, 1.0, 1e4, 10.0]
    cli("fit", write("a.csv", X[:1500]), "-n", 2, "-o", "store", "--scale")
    cli("fit", write("b.csv", X[1500:]), "-o", "store", "--resume")
    model = CheckpointStore("store").latest()
    values = np.linalg.eigvalsh(np.corrcoef(X.T))[::-1][:2]
    np.testing.assert_allclose(model.explained_variance, values, rtol=1e-9)
    shown = cli("components", "store", "--json").json
    np.testing.assert_allclose(shown["scale"], X.std(axis=0, ddof=1), rtol=1e-9)
    cli("export", "store", "-o", "m.npz")
    with np.load("m.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["scale"], model.scale)
    said = cli("score", "store", "b.csv", "--json").json
    assert said["n_rows"] == 1500
    assert said["n_alarms"] < 200
