"""Arguments in each other's places, and addresses that are taken, are named in one line."""

import socket

import pytest

from streampca.checkpoint import is_store_folder


@pytest.fixture
def both(cli, write, rows):
    """A store, one in files of many, and a file of rows."""
    path = write("a.csv", rows[:300])
    cli("fit", path, "-n", 2, "-o", "store", "-q")
    cli("fit", path, "-n", 2, "-o", "compact", "-q")
    cli("store", "compact", "compact")
    return path


@pytest.mark.parametrize("store", ["store", "compact"])
@pytest.mark.parametrize(
    "command",
    ["score FILE STORE", "transform FILE STORE", "calibrate FILE STORE",
     "plot control FILE STORE -o x.png"],
)  # fmt: skip
def test_a_store_after_rows(cli, both, command, store):
    given = command.replace("FILE", both).replace("STORE", store).split()
    said = cli(*given, code=2).err
    assert f"{store} is a store of checkpoints" in said
    assert f"{both} a file: the store comes first" in said


@pytest.mark.parametrize(
    "command",
    ["score STORE STORE", "transform STORE STORE", "fit STORE", "fit FILE STORE -o new",
     "score STORE FILE --normal STORE"],
)  # fmt: skip
def test_a_store_in_place_of_rows(cli, both, command):
    given = command.replace("FILE", both).replace("STORE", "store").split()
    said = cli(*given, code=2).err
    assert "store is a store of checkpoints, not a file of rows" in said


@pytest.mark.parametrize(
    "command",
    ["components FILE", "plot scree FILE -o x.png", "export FILE -o x.npz", "compare FILE STORE",
     "history FILE", "store compact FILE", "serve FILE"],
)  # fmt: skip
def test_rows_in_place_of_a_store(cli, both, command):
    given = command.replace("FILE", both).replace("STORE", "store").split()
    said = cli(*given, code=2).err
    assert said.startswith(f"error: {both}: ")
    assert "the folder" in said


def test_a_kind_of_picture_after_the_store(cli, both):
    assert "plot scree store" in cli("plot", "store", "scree", "-o", "x.png", code=2).err


def test_which_folders_are_stores(cli, both, tmp_path):
    for name, file in (("day=2026-01-01", "rows.parquet"), ("none", "a.csv"), ("s-a-b", "c")):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / file).write_text("x")
    (tmp_path / "data" / "day=2026-01-02").write_text("a file")
    found = [
        is_store_folder(str(tmp_path / n)) for n in ("store", "compact", "data", "a.csv", "no")
    ]
    assert found == [True, True, False, False, False]


def test_more_components_than_the_model_has(cli, both):
    for command in ("score", "calibrate"):
        said = cli(command, "store", both, "-n", 9, code=2).err
        assert "--n-components 9: the model has 2 components; give at most 2" in said


def test_a_port_in_use(cli, both):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = cli("serve", "store", "--port", port, code=2).err
    assert f"--port {port} of 127.0.0.1 is in use" in said
    assert "--port 0" in said


def test_an_address_of_another_machine(cli, both):
    assert (
        "--host 192.0.2.1: is no address of this machine"
        in cli("serve", "store", "--host", "192.0.2.1", code=2).err
    )
