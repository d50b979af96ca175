import pytest
import torch

from benchmarks import gpu

HERE = torch.device("cpu:0")  # torch's own CPU: the code of every device, but for its streams


def test_it_runs_without_a_gpu(tmp_path):
    lines = gpu.run(HERE, tiny=True, folder=tmp_path)
    assert len(lines) == 3 * 2 * len(gpu.TINY)
    assert all(line.rows_per_second > 0 for line in lines)
    for line in lines:
        assert line.share_of_needed == line.rows_per_second / line.needed_per_second
        if line.rows_from != "device":
            assert line.share_of_copy == line.rows_per_second / line.copies_per_second
    (written,) = tmp_path.glob("gpu-cpu-*.csv")
    assert len(written.read_text().splitlines()) == 1 + len(lines)


@pytest.mark.parametrize("shape", gpu.TINY)
def test_it_says_what_is_wrong(shape, monkeypatch):
    class Wrong(gpu.StreamingPCA):
        @property
        def components_(self):
            return super().components_[::, ::-1]

    right = gpu.StreamingPCA
    monkeypatch.setattr(
        gpu,
        "StreamingPCA",
        lambda p, **options: (right if "dtype" in options else Wrong)(p, **options),
    )
    assert "excess" in gpu.differs(shape, "dense", HERE)


def test_factored_memory_is_held_against_the_columns_that_it_looks_through():
    assert gpu.columns(784, 10, "dense") == 784
    assert gpu.columns(784, 10, "factored") == 32
    assert gpu.columns(10_000, 100, "factored") == 208
    A = gpu.needed(784, 10, "factored", HERE)(torch.zeros(5, 784))
    assert A.shape == (784, 32)


def line(share_of_needed=0.0, share_of_copy=0.0, memory="factored", **shape):
    known = dict.fromkeys(gpu.Line._fields, 0) | {"device": "d", "rows_from": "device"}
    shares = {"share_of_needed": share_of_needed, "share_of_copy": share_of_copy}
    return gpu.Line(**known | {"memory": memory} | shares | shape)


def test_promises_pass_or_fall_short():
    of_products, of_copy = gpu.PROMISES
    shape = {"n": 10_000, "p": 100}
    good, said = gpu.kept([line(0.51, **shape), line(0.9, **shape)], of_products)
    assert good
    assert "PASS" in said
    assert "51%" in said
    good, said = gpu.kept([line(0.49, **shape), line(0.9, **shape)], of_products)
    assert not good
    assert said.startswith("FALLS SHORT")
    assert not gpu.kept([], of_copy)[0]
    small = {"n": 784, "p": 10, "rows_from": "pinned host memory"}
    lines = [line(memory="dense", share_of_copy=0.8, **small), line(share_of_copy=0.1, **small)]
    assert gpu.kept(lines, of_copy)[0]  # dense is what 784 features have if nobody says
    assert not gpu.kept(lines[1:], of_copy)[0]
