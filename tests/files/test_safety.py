"""Outputs never cost an input, and appear complete or not at all; no traceback, no endless file."""

import contextlib
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made import lines_of, text_of
from typer.testing import CliRunner

from beam_pipelines import run as beam_run
from streampca import CheckpointStore, StreamingPCA
from streampca.cli.commands import app
from streampca.files import read

NAMES = ("oil", "air", "heat")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a.csv, b.csv and a model of them."""
    from dataclasses import replace

    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(text_of())
    Path("b.csv").write_text(text_of().replace("oil", "oil", 1))
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = replace(StreamingPCA(2).fit(X).checkpoint(), feature_names=NAMES)
    CheckpointStore("store").write(model)
    os.symlink("a.csv", "symbolic.csv")
    os.link("a.csv", "hard.csv")
    os.symlink(".", "folder")
    return tmp_path


def cli(*arguments):
    """Exit code and error."""
    found = CliRunner().invoke(app, [str(each) for each in arguments])
    assert "Traceback" not in found.stderr
    if found.exit_code == 2:
        assert found.stderr.splitlines()[-1].startswith("error: ")
    return found.exit_code, found.stderr


@pytest.mark.parametrize("name", ["a.csv", "./a.csv", "symbolic.csv", "hard.csv", "folder/a.csv"])
@pytest.mark.parametrize(
    "command",
    [
        ("fit", "a.csv", "--bad-rows"),
        ("fit", "a.csv", "b.csv", "-o", "new", "--bad-rows"),
        ("transform", "store", "a.csv", "-o"),
        ("transform", "store", "a.csv", "--bad-rows"),
        ("transform", "store", "b.csv", "a.csv", "-o"),
        ("score", "store", "b.csv", "--normal", "a.csv", "-o"),
        ("score", "store", "a.csv", "--bad-rows"),
        ("plot", "scores", "store", "a.csv", "-o", "x.png", "--bad-rows"),
    ],
    ids=" ".join,
)
def test_an_output_that_is_an_input_is_refused(command, name):
    before = Path("a.csv").read_bytes()
    code, error = cli(*command, name)
    assert code == 2
    assert "is a file that is read" in error
    assert Path("a.csv").read_bytes() == before
    assert not Path("new").exists()


def test_beam_and_python_refuse_it_too(capsys):
    before = Path("a.csv").read_bytes()
    given = ["--input", "a.csv", "--window", "global", "--n-components", "2", "--output", "new"]
    for name in ("symbolic.csv", "hard.csv"):
        assert beam_run.main([*given, "--bad-rows", name]) == 2
        assert "is a file that is read" in capsys.readouterr().err
        with pytest.raises(ValueError, match="is a file that is read"):
            read("a.csv", bad_rows=name)
    assert Path("a.csv").read_bytes() == before


def test_a_checkpoint_that_is_used_is_not_replaced():
    (path,) = Path("store").rglob("*.parquet")
    before = path.read_bytes()
    assert cli("transform", path, "a.csv", "-o", path)[0] == 2
    assert path.read_bytes() == before


def test_two_outputs_are_two_files():
    code, error = cli("transform", "store", "a.csv", "-o", "x.csv", "--bad-rows", "./x.csv")
    assert (code, "are one file" in error) == (2, True)


@pytest.mark.parametrize("bad", ["x,1,2", "1,2"])
def test_an_output_that_is_there_stays_until_the_new_one_is_complete(bad):
    Path("out.csv").write_text("old")
    Path("bad.jsonl").write_text("old")
    Path("c.csv").write_text(text_of() + bad + "\n")
    assert cli("transform", "store", "c.csv", "-o", "out.csv")[0] == 2
    assert Path("out.csv").read_text() == "old"
    Path("d.csv").write_text("oil\n1\n")
    assert cli("transform", "store", "c.csv", "d.csv", "--bad-rows", "bad.jsonl")[0] == 2
    assert cli("fit", "c.csv", "d.csv", "--bad-rows", "bad.jsonl")[0] == 2
    assert Path("bad.jsonl").read_text() == "old"
    assert cli("transform", "store", "c.csv", "-o", "out.csv", "--bad-rows", "bad.jsonl")[0] == 0
    assert len(Path("out.csv").read_text().splitlines()) == 41
    assert len(Path("bad.jsonl").read_text().splitlines()) == 1
    assert not [path for path in Path().iterdir() if path.suffix in (".tmp", ".part")]


def test_a_link_stays_one_and_a_device_is_written():
    Path("real").mkdir()
    Path("real/out.csv").write_text("old")
    os.symlink("real/out.csv", "out.csv")
    assert cli("transform", "store", "a.csv", "-o", "out.csv")[0] == 0
    assert Path("out.csv").is_symlink()
    assert len(Path("real/out.csv").read_text().splitlines()) == 41
    assert cli("transform", "store", "a.csv", "-o", "/dev/null", "--output-format", "csv")[0] == 0
    assert not Path("/dev/null").is_file()


# --- what can be read at all ------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("fit", "/dev/zero"),
        ("fit", "/dev/zero", "--input-format", "csv"),
        ("inspect", "/dev/zero"),
        ("components", "/dev/zero"),
        ("compare", "store", "/dev/zero"),
        ("transform", "/dev/zero", "a.csv"),
        ("transform", "store", "/dev/zero"),
        ("inspect", "/dev/null"),
    ],
    ids=" ".join,
)
def test_a_device_is_not_read(command):
    code, error = cli(*command)
    assert (code, "is a device" in error) == (2, True)


def drawn(seed):
    """Bytes of no kind, and of almost a kind."""
    rng = np.random.default_rng(seed)
    noise = rng.bytes(int(rng.integers(0, 3000)))
    heads = (
        b"", b"PAR1", b"ARROW1\0\0", b"\x93NUMPY\x01\x00", b"{", b"\x1f\x8b\x08\x00",
        b"PK\x03\x04", b"BZh9", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\xef\xbb\xbf",
        b"\xff\xff\xff\xff", b"a,b\n", b'{"a": 1}\n', b'"', b'a,b\n1,"', b"\xfe\xff", b"FEA1",
    )  # fmt: skip
    text = [text_of().encode(), lines_of().encode(), b""][int(rng.integers(3))]
    kind = int(rng.integers(3))
    if kind == 0:
        return heads[int(rng.integers(len(heads)))] + noise
    data = bytearray(text or noise)
    for _ in range(int(rng.integers(1, 6))):  # real text with a few bytes changed
        if data:
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
    return bytes(data)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".arrow", ".npy", ".csv.gz"])
@pytest.mark.parametrize("seed", range(25))
def test_any_bytes_are_read_or_refused_in_one_line(seed, suffix, capfd):
    Path("x" + suffix).write_bytes(drawn(seed * 100 + len(suffix)))
    code, error = cli("fit", "x" + suffix)
    assert code in (0, 2)
    assert "defect" not in error
    assert "Traceback" not in capfd.readouterr().err
    outcome = 0
    with contextlib.suppress(ValueError):  # and nothing else
        outcome = sum(len(rows.values) for rows in read("x" + suffix))
    assert outcome or code == 2


@pytest.mark.parametrize(
    ("name", "data", "command"),
    [
        ("x.npz", b"PK\x03\x04 no archive", ("compare", "store", "x.npz")),
        ("x.npz", b"", ("compare", "store", "x.npz")),
        ("x.parquet", b"PAR1", ("inspect", "x.parquet")),
        ("new/.fit.json", b"[" * 100_000, ("fit", "a.csv", "-o", "new", "--resume")),
        ("new/.fit.json", b"\xff\xfe", ("fit", "a.csv", "-o", "new", "--resume")),
        ("new/.fit.json", b'{"version": 1}', ("inspect", "new")),
        ("store/.fit.json", b"[" * 100_000, ("inspect", "store")),
    ],
)
def test_other_files_that_are_not_what_they_should_be_are_named(name, data, command):
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_bytes(data)
    found = CliRunner().invoke(app, list(command))
    assert found.exit_code in (1, 2)
    said = found.stdout + found.stderr
    assert Path(name).name in said
    assert "Traceback" not in said
    assert "defect" not in said


# --- files that change ------------------------------------------------------------------------


def test_a_file_that_grows_is_read_as_it_was_and_gone_on_with():
    half = text_of() + "1,2"
    Path("log.csv").write_text(text_of())
    rows = read("log.csv")
    size = 0
    for batch in rows:
        with Path("log.csv").open("a") as file:  # while it is read, and in the middle of a line
            file.write("1,2")
        size += len(batch.values)
    assert size == 40
    Path("log.csv").write_text(half + ",3\n4,5,6\n")
    assert cli("fit", "log.csv", "-o", "new")[0] == 0
    with Path("log.csv").open("a") as file:
        file.write("7,8,9\n")
    assert cli("fit", "log.csv", "-o", "new", "--resume")[0] == 0
    assert CheckpointStore("new").latest().n_samples_seen == 43


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_half_a_last_line_is_not_gone_on_with(name):
    text = text_of() if name.endswith("csv") else lines_of()
    Path(name).write_text(text.rstrip("\n"))  # a complete row, without its end of line
    assert cli("fit", name, "-o", "new")[0] == 0
    Path(name).write_text(text)
    assert cli("fit", name, "-o", "new", "--resume")[0] == 0
    assert CheckpointStore("new").latest().n_samples_seen == 40
    if name.endswith("csv"):
        Path(name).write_text(text + "1,2,3")
        assert cli("fit", name, "-o", "new", "--resume")[0] == 0
        Path(name).write_text(text + "1,2,34\n")
        code, error = cli("fit", name, "-o", "new", "--resume")
        assert (code, "its last line was half" in error) == (2, True)
        assert CheckpointStore("new").latest().n_samples_seen == 41
    else:
        Path(name).write_text(text + '{"oil": 1, "air"')
        code, error = cli("fit", name, "-o", "new", "--resume")
        assert (code, "line 41" in error) == (2, True)
        Path(name).write_text(text + '{"oil": 1, "air": 2, "heat": 3}\n')
        assert cli("fit", name, "-o", "new", "--resume")[0] == 0
        assert CheckpointStore("new").latest().n_samples_seen == 41


def test_a_file_that_is_changed_while_it_is_read_is_refused():
    big = text_of(np.tile(np.ones((1, 3)), (200_000, 1)))
    Path("log.csv").write_text(big)
    rows = read("log.csv")
    next(rows)
    Path("log.csv").write_text("")
    with pytest.raises(ValueError, match=r"log\.csv: (was changed|.*cannot be read)"):
        list(rows)


def test_a_named_pipe_is_read(folder):
    os.mkfifo("pipe")
    with subprocess.Popen(["bash", "-c", "cat a.csv > pipe"], cwd=folder):
        assert sum(len(rows.values) for rows in read("pipe")) == 40
