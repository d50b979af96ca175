"""What has to work after `pip install` in an empty environment; `make smoke` runs it there.

cd / && /path/to/empty/bin/python -I /path/to/tests/smoke.py            without any extra
cd / && /path/to/full/bin/python -I /path/to/tests/smoke.py all         with all of them
"""

import importlib.metadata
import importlib.resources
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def check_core() -> None:
    import numpy as np

    import streampca
    from streampca import CheckpointStore, StreamingPCA

    place = Path(streampca.__file__)
    assert "site-packages" in place.parts, f"this is the tree, not what was installed: {place}"
    assert importlib.resources.files(streampca).joinpath("py.typed").is_file()
    assert importlib.metadata.version("streampca")
    for name in streampca.__all__:
        assert getattr(streampca, name) is not None

    rows = np.random.default_rng(0).normal(size=(1000, 6)) * [6, 5, 4, 3, 2, 1] + 10
    pca = StreamingPCA(2)
    for start in range(0, 1000, 7):
        pca.partial_fit(rows[start : start + 7])
    expected = np.linalg.eigvalsh(np.cov(rows.T))[::-1][:2]
    np.testing.assert_allclose(pca.explained_variance_, expected, rtol=1e-10)
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(folder)
        store.write(pca.checkpoint(key="press 4"))
        again = StreamingPCA.from_checkpoint(store.latest("press 4"))
        np.testing.assert_array_equal(again.transform(rows), pca.transform(rows))


def check_extras_are_named() -> None:
    """Without an extra, the error says what to install."""
    for module, command in (
        ("streampca.river", "streampca[river]"),
        ("beam_pipelines", "streampca[beam]"),
    ):
        code = f"import {module}"
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode, f"{module} was imported without its extra"
        assert command in done.stderr, (module, done.stderr[-500:])


def check_extras() -> None:
    """With all extras every module is imported, and the commands answer."""
    import beam_pipelines
    import streampca

    for package in (streampca, beam_pipelines):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    command = shutil.which("streampca", path=str(Path(sys.executable).parent))
    assert command, "the command streampca was not installed"
    for arguments in ([command, "--help"], [sys.executable, "-m", "beam_pipelines.run", "--help"]):
        subprocess.run(arguments, check=True, capture_output=True)


if __name__ == "__main__":
    check_core()
    if sys.argv[1:] == ["all"]:
        check_extras()
    else:
        check_extras_are_named()
    print("installed, imported, learned, stored, read:", *sys.argv[1:] or ["no extras"])
