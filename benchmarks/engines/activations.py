"""Activations of a network as they come: PEFT's EVA initialisation, beside PEFT's own PCA.

make gloo
"""

from __future__ import annotations

import time

import peft
import torch
from peft.utils.incremental_pca import IncrementalPCA

from benchmarks.engines.common import Cost, report
from streampca import StreamingPCA

# --8<-- [start:eva]


def eva_state(model, batches, rank):
    """For each LoRA layer the leading directions (r, n) of all that goes into it."""
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    learners = {name: StreamingPCA(n_components=rank) for name in layers}

    def learn(name):
        def hook(module, inputs):
            learners[name].partial_fit(inputs[0].detach().flatten(0, -2))

        return hook

    handles = [module.register_forward_pre_hook(learn(name)) for name, module in layers.items()]
    with torch.no_grad():
        for batch in batches:
            model(batch)
    for handle in handles:
        handle.remove()
    return {name: torch.from_numpy(pca.components_) for name, pca in learners.items()}


# --8<-- [end:eva]


def example() -> None:
    """EVA's weights from our directions, in PEFT's own adapter: they are there, to the bit."""
    torch.manual_seed(0)
    base = torch.nn.Sequential(
        torch.nn.Linear(64, 96), torch.nn.GELU(), torch.nn.Linear(96, 32), torch.nn.Tanh()
    )
    config = peft.LoraConfig(r=8, target_modules=["0", "2"], init_lora_weights="eva")
    model = peft.get_peft_model(base, config)
    scales = 0.9 ** torch.arange(64)
    batches = [torch.randn(4, 50, 64) * scales for _ in range(12)]
    state = eva_state(model, batches, rank=8)
    peft.initialize_lora_eva_weights(model, eva_state_dict=dict(state))
    for name, components in state.items():
        weight = model.get_submodule(name).lora_A["default"].weight
        if not torch.equal(weight, components):
            raise SystemExit(f"{name} has other weights")
    seen = torch.cat([batch.flatten(0, 1) for batch in batches]).double()
    first = next(iter(state.values())).double()
    true = torch.linalg.svd(seen - seen.mean(0), full_matrices=False)[2][:8]
    cosines = (first * true).sum(1).abs()
    if cosines.min() < 1 - 1e-6:
        raise SystemExit(f"directions of the first layer are off: {cosines}")
    print(f"EVA by our directions: {len(state)} layers, cosines >= {cosines.min():.9f}")


def tokens(n: int, batches: int, rows: int) -> list[torch.Tensor]:
    """Batches of activations: a spectrum that falls as 1 / k, features mixed, a mean."""
    draws = torch.Generator().manual_seed(0)
    mixing = torch.linalg.qr(torch.randn(n, 128, generator=draws))[0] / torch.arange(1, 129)
    mean = torch.randn(n, generator=draws)
    return [
        torch.randn(rows, 128, generator=draws) @ mixing.T
        + 1e-3 * torch.randn(rows, n, generator=draws)
        + mean
        for _ in range(batches)
    ]


def in_place(components: torch.Tensor, true: torch.Tensor) -> int:
    """How many directions are those of all rows, each at its place: cosine above 0.999."""
    components = torch.as_tensor(components).double()
    return int(((components * true).sum(1).abs() > 0.999).sum())


def peers(n: int = 4096, r: int = 16, batches: int = 12, rows: int = 512, rounds: int = 1) -> None:
    """Seconds for all batches, and directions in place; the peers take turns."""
    data = tokens(n, batches, rows)
    seen = torch.cat(data).double()
    seen -= seen.mean(0)
    # 128 directions stand above the noise: with as many, power steps converge in a few rounds
    true = torch.svd_lowrank(seen, q=128, niter=8)[2][:, :r].T
    del seen
    runs = {
        "its own PCA": lambda: IncrementalPCA(r),
        "its own PCA, low rank": lambda: IncrementalPCA(r, lowrank=True, lowrank_seed=0),
        "streampca, factored": lambda: StreamingPCA(r, memory="factored"),
        "streampca, dense": lambda: StreamingPCA(r, memory="dense"),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    places = {}
    for _ in range(rounds):
        for name, make in runs.items():
            pca, wall, cpu = make(), time.perf_counter(), time.process_time()
            for batch in data:
                pca.partial_fit(batch)
            components = pca.components_
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            places[name] = in_place(components, true)
    print(f"{n:,} features, r = {r}, {batches} batches of {rows} tokens, CPU")
    for name, measured in times.items():
        wall, cpu = min(measured, key=lambda each: each[1])
        what = f"EVA by {name}: {places[name]} of {r} directions in place"
        report("PEFT", peft.__version__, what, batches * rows, None, 0, Cost([wall], [cpu]))
    first = StreamingPCA(r).partial_fit(data[0])
    if not isinstance(first.transform(data[0]), torch.Tensor):
        raise SystemExit("a tensor was not answered with a tensor")


if __name__ == "__main__":
    example()
    peers()
