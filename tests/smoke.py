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
    assert set(streampca.__all__) <= set(dir(streampca))

    rows = np.random.default_rng(0).normal(size=(1000, 6)) * [6, 5, 4, 3, 2, 1] + 10
    pca = StreamingPCA(2)
    for start in range(0, 1000, 7):
        pca.partial_fit(rows[start : start + 7])
    expected = np.linalg.eigvalsh(np.cov(rows.T))[::-1][:2]
    np.testing.assert_allclose(pca.explained_variance_, expected, rtol=1e-10)
    assert StreamingPCA(2, device="cpu").fit(rows).transform(rows).shape == (1000, 2)
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(folder)
        store.write(pca.checkpoint(key="press 4"))
        again = StreamingPCA.from_checkpoint(store.latest("press 4"))
        np.testing.assert_array_equal(again.transform(rows), pca.transform(rows))
    assert "torch" not in sys.modules, "it takes longer to import than all of this"


def check_extras_are_named() -> None:
    """Without an extra, the error says what to install."""
    learn = "streampca.StreamingPCA({}).partial_fit([[1.0, 2.0]])"
    for code, command in (
        ("import streampca.river", "streampca[river]"),
        ("import beam_pipelines", "streampca[beam]"),
        ("from streampca import NestedMSELoss", "streampca[torch]"),
        ("import streampca; " + learn.format("1, device='cuda'"), "streampca[torch]"),
        ("import streampca; " + learn.format("1, solver='first_order'"), "streampca[torch]"),
    ):
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode, f"without its extra this ran: {code}"
        assert command in done.stderr, (code, done.stderr[-500:])


def check_extras() -> None:
    """With all extras every module is imported, and the commands answer."""
    import beam_pipelines
    import streampca

    for name in streampca.__all__:
        assert getattr(streampca, name) is not None
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
