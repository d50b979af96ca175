"""`streampca store` keeps a store in order, and says what it did."""

from pathlib import Path

import pytest
from checkpoints import MINUTE, make

from streampca import CheckpointStore
from streampca.cli.ledger import Ledger

HOUR = 60 * MINUTE


@pytest.fixture
def store(tmp_path):
    made = CheckpointStore(tmp_path / "store")
    for key in ("a", "b"):
        for h in range(1, 50):
            made.write(make(key=key, window_end=h * HOUR, sequence=h - 1, seed=h))
    return made


def files(place):
    return len(list(Path(place).rglob("*.parquet")))


def content(store):
    return {key: store.history(key) for key in store.keys()}  # noqa: SIM118


def test_few_files_are_made_of_many(cli, store):
    before = content(store)
    assert cli("store", "compact", "store").out == "98 files became 3\n"
    assert content(store) == before
    done = cli("store", "compact", store.uri, "--json", "--moments", "last").json
    assert done == {"checkpoints": 98, "files_before": 3, "files": 3, "removed": 0}
    assert [bool(c.moments) for c in store.history("a")] == [False] * 48 + [True]
    assert len(cli("history", "store", "--key", "b", "--json").json) == 49


def test_old_checkpoints_go(cli, store):
    asked = ("--keep-last", "5h", "--keep-daily", "30")
    said = cli("store", "prune", "store", *asked, "--dry-run").out
    assert said == "86 checkpoints would go, 12 stay\n"
    assert files("store") == 98
    assert cli("store", "prune", "store", *asked).out == "86 checkpoints went, 12 stay\n"
    assert [c.window_end / HOUR for c in store.history("b")] == [24, 45, 46, 47, 48, 49]
    assert cli("store", "prune", "store", *asked, "--json").json["removed"] == 0
    assert cli("store", "prune", "store", "--keep-last", 1, "-n", "--json").json["removed"] == 10


def test_what_a_fit_goes_on_from_stays(cli, write, rows, tmp_path):
    write("a.csv", rows[:2000])
    cli("fit", "a.csv", "--n-components", 2, "--checkpoint-rows", 200, "--output", "fitted")
    fitted = CheckpointStore("fitted")
    ledger = Ledger.read(fitted)
    (point,) = ledger.points
    fitted.write(make(n=4, sequence=point[2] + 1))  # killed before the ledger named it
    cli("store", "prune", "file://" + str(tmp_path / "fitted"), "--keep-last", 1)
    assert [c.sequence for c in fitted.history()] == [point[2], point[2] + 1]
    cli("store", "compact", "fitted", "--moments", "last")
    assert all(c.moments for c in fitted.history())
    cli("store", "copy", "fitted", "copied")
    write("b.csv", rows[2000:])
    cli("fit", "a.csv", "b.csv", "--n-components", 2, "--output", "copied", "--resume")
    assert CheckpointStore("copied").resume_point().n_samples_seen == 3000


def test_a_copy_has_all(cli, store):
    assert cli("store", "copy", "store", "new").out == "98 checkpoints copied to new\n"
    assert content(CheckpointStore("new")) == content(store)
    assert "is the store itself" in cli("store", "copy", "store", "./store", code=2).err


def test_damage_is_named(cli, store, tmp_path):
    assert cli("store", "verify", "store").out == "98 checkpoints in 98 files, 0 unreadable\n"
    store.write_many(store.history("a")[:5])
    one = sorted(Path("store").rglob("w*.parquet"))[-1]
    one.write_bytes(one.read_bytes()[:-9])
    (many,) = Path("store").rglob("b-*.parquet")
    data = bytearray(many.read_bytes())
    data[2000] ^= 1
    many.write_bytes(data)
    Path("store/day=1970-01-01/other.parquet").write_bytes(b"PAR1")
    done = cli("store", "verify", "store", "--json", code=1).json
    assert {each["file"] for each in done["problems"]} == {
        str(tmp_path / path) for path in (one, many, "store/day=1970-01-01/other.parquet")
    }
    assert "torn" in cli("store", "verify", "store", code=1).out


@pytest.mark.parametrize("command", ["compact", "verify"])
def test_what_is_no_store_is_refused(cli, command):
    assert "is not there" in cli("store", command, "nowhere", code=2).err


def test_options_that_say_nothing_are_refused(cli, store):
    assert "say what to keep" in cli("store", "prune", "store", code=2).err
    wrong = cli("store", "prune", "store", "--keep-monthly", "x", code=2).err
    assert "--keep-monthly 'x' is not accepted" in wrong
    assert "moments='some'" in cli("store", "compact", "store", "--moments", "some", code=2).err
    assert files("store") == 98


def test_a_file_of_many_is_inspected(cli, store):
    store.compact()
    path = min(Path("store").rglob("b-*.parquet"))
    found = cli("inspect", path, "--json").json
    assert (found["state"], found["n_checkpoints"], found["n_keys"]) == ("sound", 48, 2)
    assert "many checkpoints" in cli("components", path, code=2).err
    path.write_bytes(path.read_bytes()[:-9])
    assert cli("inspect", path, "--json", code=1).json["state"] == "unreadable"
