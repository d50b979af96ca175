import threading
import time

import pytest

from streampca.files import ahead

BOTH = pytest.mark.parametrize(
    "through",
    [
        lambda function, items: ahead.side_by_side(function, items),
        lambda function, items: ahead.ahead(map(function, items)),
        lambda function, items: ahead.ahead(ahead.side_by_side(function, items)),
    ],
    ids=["side by side", "ahead", "both"],
)


def slow(number):
    time.sleep((number * 7 % 5) / 1000)  # others overtake it
    return number


def after(items, error):
    yield from items
    raise error


def ours():
    return {t for t in threading.enumerate() if t.name.startswith("streampca-")}


@BOTH
@pytest.mark.parametrize("n", [0, 1, 2, 3, 50])
def test_results_come_in_the_items_order(through, n):
    assert list(through(slow, iter(range(n)))) == list(range(n))


@BOTH
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_an_error_of_the_items_comes_after_all_results_before_it(through, n):
    read = []
    with pytest.raises(ValueError, match="cut short"):
        read.extend(through(slow, after(range(n), ValueError("cut short"))))
    assert read == list(range(n))


@BOTH
@pytest.mark.parametrize("at", [0, 1, 2, 5, 9])
def test_an_error_of_the_function_comes_where_its_result_would_be(through, at):
    def refuse(number):
        if number == at:
            raise ValueError(f"number {number}")
        return slow(number)

    read = []
    with pytest.raises(ValueError, match=f"number {at}"):
        read.extend(through(refuse, iter(range(10))))
    assert read == list(range(at))


@BOTH
def test_who_stops_early_leaves_no_thread_and_reads_little_more(through):
    before, asked = ours(), []

    def items():
        for number in range(10**9):
            asked.append(number)
            yield number

    made = through(slow, items())
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    made.close()
    assert len(asked) < 15
    assert ours() <= before


def test_two_are_under_way_at_once(monkeypatch):
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 2)
    meet = threading.Barrier(2, timeout=10)
    assert len(list(ahead.side_by_side(lambda _: meet.wait(), iter(range(4))))) == 4


def test_one_core_needs_no_threads(monkeypatch):
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 1)
    before = ours()
    names = list(ahead.side_by_side(lambda _: threading.current_thread().name, iter(range(3))))
    assert names == [threading.current_thread().name] * 3
    assert ours() == before
