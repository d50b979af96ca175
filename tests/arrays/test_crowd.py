"""How many cores others keep busy: as the system says, of several systems and this one."""

import os
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streampca.arrays import crowd


@pytest.fixture
def _sees_all(monkeypatch):
    monkeypatch.setattr(crowd, "_sees_all", lambda: True)


def says(monkeypatch, tmp_path, loadavg, tasks):
    """A system that says so of its load, and of the tasks of this process: number and state."""
    (tmp_path / "loadavg").write_text(loadavg)
    for task, state in tasks.items():
        (tmp_path / str(task)).mkdir()
        (tmp_path / str(task) / "stat").write_text(f"{task} (a (strange) R name) {state} 1 1")
    read = crowd._read
    moved = {"/proc/loadavg": tmp_path / "loadavg"}
    monkeypatch.setattr(crowd, "_TASKS", str(tmp_path))
    monkeypatch.setattr(crowd, "_read", lambda path: read(moved.get(path, path)))
    (listed,) = [[str(task) for task in tasks]]
    monkeypatch.setattr(crowd, "os", SimpleNamespace(**vars(os) | {"listdir": lambda _: listed}))


HERE = threading.get_native_id()


@pytest.mark.usefixtures("_sees_all")
@pytest.mark.parametrize(
    ("running", "tasks", "others"),
    [
        (1, {HERE: "R"}, 0),
        (2, {HERE: "R"}, 1),
        (2, {HERE: "R", 10**9: "R"}, 0),  # a thread of a library that spins
        (2, {HERE: "R", 10**9: "S"}, 1),
        (7, {HERE: "R", 10**9: "R", 10**9 + 1: "D"}, 5),
        (2, {HERE: "R", 10**9: "R", 10**9 + 1: "R"}, 0),  # one has begun meanwhile
    ],
)
def test_tasks_that_run_and_are_not_ours_are_counted(monkeypatch, tmp_path, running, tasks, others):
    says(monkeypatch, tmp_path, f"0.25 0.93 1.46 {running}/90 17588\n", tasks)
    assert crowd.Crowd().others() == others


@pytest.mark.usefixtures("_sees_all")
def test_other_threads_of_python_are_others(monkeypatch, tmp_path):
    go_on = threading.Event()
    beside = threading.Thread(target=go_on.wait)
    beside.start()
    says(monkeypatch, tmp_path, "0 0 0 2/90 1", {HERE: "R", beside.native_id: "R"})
    assert crowd.Crowd().others() == 1
    go_on.set()
    beside.join()


@pytest.mark.usefixtures("_sees_all")
@pytest.mark.parametrize("loadavg", ["", "0.00 0.00 0.00 0/0 0", "0.1 0.1 0.1", "a b c d e"])
def test_a_system_that_does_not_say_is_not_believed(monkeypatch, tmp_path, loadavg):
    says(monkeypatch, tmp_path, loadavg, {HERE: "R"})
    assert crowd.Crowd().others() is None


@pytest.mark.usefixtures("_sees_all")
def test_a_system_without_such_files_does_not_say(monkeypatch):
    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(crowd, "_read", missing)
    assert crowd.Crowd().others() is None


def test_a_process_that_may_use_some_cores_does_not_know_of_them(monkeypatch):
    crowd._sees_all.cache_clear()
    monkeypatch.setattr(crowd, "_allowed", lambda: crowd._online() + 1)
    assert crowd.Crowd().others() is None
    crowd._sees_all.cache_clear()


def test_a_reading_is_kept_for_a_time_that_goes_with_its_price(monkeypatch):
    clock = [0.0]
    readings = iter(range(100))

    def read():
        clock[0] += 0.0001
        return next(readings)

    monkeypatch.setattr(crowd, "_others", read)
    monkeypatch.setattr(crowd, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    some = crowd.Crowd()
    assert [some.others(), some.others()] == [0, 0]
    clock[0] += 0.0051
    assert [some.others(), some.others()] == [1, 1]


def test_this_system_says_or_does_not():
    others = crowd.Crowd().others()
    assert others is None or 0 <= others < 10**6
    assert 1 <= crowd.cores() <= (os.cpu_count() or 1)
    assert crowd.cores_without(10**6) == 1


# --- what a container may use --------------------------------------------------------------------


def groups(root, lines, limits):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))
    for name, text in limits.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@given(quota=st.floats(0.01, 70.0), period=st.sampled_from([10_000, 100_000]))
def test_a_quota_is_rounded_up_to_cores(tmp_path_factory, quota, period):
    for version in (1, 2):
        root = tmp_path_factory.mktemp("root")
        own = int(quota * period)
        if version == 2:
            groups(root, ["0::/a/b"], {"a/cpu.max": f"{own} {period}\n"})
        else:
            files = {"cpu/cpu.cfs_quota_us": str(own), "cpu/cpu.cfs_period_us": str(period)}
            groups(root, ["4:memory:/", "3:cpu,cpuacct:/docker/x"], files)
        found = crowd._quota(root)
        most = os.cpu_count() or 1
        assert found == (min(most, max(1, -(-own // period))) if own else most)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"cpu.max": "max 100000"},
        {"cpu.max": "nonsense"},
        {"cpu.max": "100000 0"},
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
    ],
)
def test_no_quota_is_all_cores(tmp_path, limits):
    groups(tmp_path, ["0::/", "3:cpu,cpuacct:/"], limits)
    assert crowd._quota(tmp_path) == os.cpu_count()


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert crowd._quota(tmp_path) == os.cpu_count()
