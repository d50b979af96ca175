"""Every file by the command line, Beam and Python: the same rows and components, or refusal."""

import re
import warnings

import numpy as np
import pytest
from made import CASES, START
from oracle import batch_pca
from typer.testing import CliRunner

from beam_pipelines import run
from streampca import CheckpointStore, StreamingPCA
from streampca.cli.commands import app
from streampca.files import counted, options, read

COMPONENTS = 2


@pytest.fixture(scope="module", autouse=True)
def plain_rows():
    """The oracle warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def written(case, folder):
    """The case's files, in order."""
    case.write(folder)
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


def by_python(case, paths, folder):
    """Models by key, bad rows, and the first and last time."""
    models, n_bad, times = {}, 0, []
    for rows in read(paths, **case.options):
        n_bad += len(rows.bad)
        if rows.times is not None:
            times += [rows.times.min(), rows.times.max()]
        keys = rows.keys or [None] * len(rows.values)
        for key in dict.fromkeys(keys):
            mine = np.array([each == key for each in keys])
            impute = case.options.get("missing", "error")
            pca = models.setdefault(key, StreamingPCA(COMPONENTS, missing=impute))
            pca.partial_fit(rows.values[mine])
        names = rows.names
    found = {key: (pca.n_samples_seen_, pca.mean_, pca.components_) for key, pca in models.items()}
    return found, n_bad, (min(times), max(times)) if times else None, names


def flags(case):
    """The case's options as a command line has them."""
    for name, value in case.options.items():
        yield options.flag(name)
        yield ",".join(value) if isinstance(value, list) else str(value)


def by_command(case, paths, folder):
    """The same by `streampca fit`."""
    given = [
        "fit",
        *paths,
        "-n",
        str(COMPONENTS),
        "-o",
        str(folder / "cli"),
        "--json",
        *flags(case),
    ]
    said = CliRunner().invoke(app, given)
    assert "Traceback" not in said.stderr
    assert said.exit_code in (0, 2)
    if said.exit_code:
        raise ValueError(said.stderr)
    n_bad = int(re.search(r'"n_bad_rows": (\d+)', said.stdout)[1])
    return *stored(folder / "cli"), n_bad


def by_beam(case, paths, folder):
    """The same by the Beam job, all rows in one window."""
    given = ["--input", *paths, "--n-components", str(COMPONENTS), "--window", "global"]
    code = run.main([*given, "--output", str(folder / "beam"), *flags(case)])
    assert code in (0, 1, 2)
    return code, folder / "beam"


def stored(folder):
    """Models by key of a store, and the times that they cover."""
    found, times, names = {}, [], None
    store = CheckpointStore(folder)
    for key in store.keys():  # noqa: SIM118
        latest = store.latest(key)
        found[key] = (latest.n_samples_seen, latest.mean, latest.components)
        names = list(latest.feature_names)
        if latest.window_end is not None:
            times += [latest.window_start, latest.window_end]
    return found, (min(times), max(times)) if times else None, names


def assert_right(case, found, names):
    """Counts, means and components are those of the rows that the file was made of."""
    expected = case.rows if isinstance(case.rows, dict) else {None: case.rows}
    assert list(map(str, found)) == list(map(str, expected)) or set(found) == set(expected)
    assert set(found) == set(expected)
    assert names == list(case.names)
    for key, X in expected.items():
        n, mean, components = found[key]
        assert n == len(X)
        right_mean, right, _, _ = batch_pca(np.asarray(X, float), COMPONENTS)
        single = components.dtype == np.float32
        np.testing.assert_allclose(mean, right_mean, rtol=1e-5 if single else 1e-9)
        cosines = np.abs((components * right).sum(axis=1))
        np.testing.assert_allclose(cosines, 1, atol=1e-5 if single else 1e-9)


def assert_times(case, times):
    if case.times is not None:
        start = int(START.timestamp() * 1e6)
        assert times == tuple(start + second * 1_000_000 for second in case.times)


@pytest.mark.parametrize("name", CASES)
def test_a_file_gives_the_same_rows_in_every_face_or_is_refused_in_all(tmp_path, capsys, name):
    case = CASES[name]
    (tmp_path / "files").mkdir()
    paths = written(case, tmp_path / "files")
    if case.refused is not None:
        pattern = re.compile(case.refused, re.DOTALL)
        with pytest.raises(ValueError, match=pattern) as by_read:
            by_python(case, paths, tmp_path)
        with pytest.raises(ValueError, match=pattern) as by_fit:
            by_command(case, paths, tmp_path)
        assert CheckpointStore(tmp_path / "cli").keys() == []
        capsys.readouterr()
        code, _ = by_beam(case, paths, tmp_path)
        assert code in (1, 2)
        said = capsys.readouterr().err
        assert pattern.search(said), said
        assert "Traceback" not in said
        for text in (str(by_fit.value), said):
            assert text.startswith("error: ") or "\nerror: " in text
        assert "no row could" in str(by_fit.value) or str(by_read.value) in str(by_fit.value)
        return
    found, _, times, names = by_python(case, paths, tmp_path)
    assert_right(case, found, names)
    assert_times(case, times)
    found, times, names, n_bad = by_command(case, paths, tmp_path)
    assert_right(case, found, names)
    assert_times(case, times)
    assert n_bad == case.n_bad
    capsys.readouterr()
    code, store = by_beam(case, paths, tmp_path)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    found, _, names = stored(store)
    assert_right(case, found, names)
    bad = re.search(r"; ([\d,]+) bad rows?\b", captured.out)
    assert (int(bad[1].replace(",", "")) if bad else 0) == case.n_bad
    rows = sum(map(len, case.rows.values())) if isinstance(case.rows, dict) else len(case.rows)
    made = counted(len(found), "checkpoint")
    assert captured.out.startswith(f"{made} of {counted(rows, 'row')} in ")


def test_there_are_at_least_sixty_files():
    assert len(CASES) >= 60
