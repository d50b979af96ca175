"""The simulation notices what it is there for."""

import pytest
import torch
from simulated import DEVICE, Event, Race, Simulation, Stream


def there(simulation, *shape):
    return torch.ones(shape, device=DEVICE)


def test_numbers_are_right(simulation):
    X = torch.randn(5, 3)
    Y = X.to(DEVICE)
    assert Y.device.type == "simulated"
    torch.testing.assert_close((Y.T @ Y)[1:, :2].cpu(), (X.T @ X)[1:, :2])


@pytest.mark.parametrize(
    "ask",
    [
        lambda X: float(X.sum()),
        lambda X: bool((X > 0).any()),
        lambda X: X[0, 0].item(),
        lambda X: X.cpu(),
        lambda X: X[X[:, 0] > 0],
        lambda X: X.nonzero(),
        lambda X: torch.equal(X, X),
        lambda X: torch.linalg.eigh(X.T @ X),
        lambda X: torch.linalg.cholesky(X.T @ X + 1),
        lambda X: 1 if X.sum() > 0 else 0,
        lambda X: X.add_(torch.ones(3).to(DEVICE)),
        lambda X: X.copy_(torch.ones(3)),
        lambda X: torch.ones(4, 3).copy_(X),
    ],
)
def test_questions_and_blocking_copies_are_waits(simulation, ask):
    X = torch.eye(4, 3).pin_memory().to(DEVICE, non_blocking=True) * 2
    assert simulation.waits == []
    ask(X)
    assert simulation.waits


def test_products_and_asynchronous_copies_are_none(simulation):
    X = torch.randn(4, 3).pin_memory().to(DEVICE, non_blocking=True)
    Y = torch.where(X > 0, X, 0.0) @ X.T
    landed = torch.empty(4, 4, pin_memory=True)
    landed.copy_(Y, non_blocking=True)
    assert simulation.waits == []
    assert landed.isnan().all()  # nobody has waited for it


def test_a_result_is_there_after_its_event(simulation):
    landed = torch.empty(4, pin_memory=True)
    landed.copy_(there(simulation, 4), non_blocking=True)
    event = Event()
    event.record(simulation.stream)
    event.synchronize()
    assert landed.tolist() == [1.0] * 4


def test_streams_that_do_not_wait_for_each_other_race(simulation):
    module, side = torch.get_device_module(DEVICE), Stream()
    X = there(simulation, 4)
    X.record_stream(side)
    made, read = Event(), Event()
    with pytest.raises(Race, match="before it may be"), module.stream(side):
        X * 2
    made.record(simulation.main)
    side.wait_event(made)
    with module.stream(side):
        X * 2
        read.record(side)
    with pytest.raises(Race, match="written"):
        X.add_(1)
    simulation.main.wait_event(read)
    X.add_(1)


def test_memory_of_another_stream_has_to_be_recorded(simulation):
    side = Stream()
    X = there(simulation, 4)
    event = Event()
    event.record(simulation.main)
    side.wait_event(event)
    with pytest.raises(Race, match="record_stream"), torch.get_device_module(DEVICE).stream(side):
        X * 2


def test_host_memory_that_changes_under_a_copy_is_noticed():
    def hasty():
        with Simulation():
            x = torch.ones(3).pin_memory()
            x.to(DEVICE, non_blocking=True)
            x[0] = 2

    with pytest.raises(Race, match="host memory"):
        hasty()
