"""An ordered bottleneck inside a nonlinear network, trained end to end.

The right halves of handwritten digits (scikit-learn's, 8 x 8) from their left halves, through
32 -> 96 -> 32 -> [p = 8] -> 32, tanh before the bottleneck. The same network is trained with the
nested loss and with the mean squared error; then both are cut to their first k coordinates. Given
the features in front of it, Theorem 1 holds for the bottleneck: its best pairs are those of the
reduced-rank regression of the right halves on the features, which stands beside it.

    python -m benchmarks.paper.bottleneck         # a minute on one core
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmarks.paper.style import LINES, keep, save
from streampca import NestedLinearAutoencoder, StreamingReducedRankRegression

P, HIDDEN, STEPS = 8, 32, 2000


class Network(nn.Module):
    """Features of the left halves, and a bottleneck between them and the right halves."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(32, 96), nn.Tanh(), nn.Linear(96, HIDDEN), nn.Tanh()
        )
        self.bottleneck = NestedLinearAutoencoder(HIDDEN, P, 32)

    def forward(self, X: Tensor, k: int | None = None) -> Tensor:
        return self.bottleneck(self.features(X), n_components=k)

    def loss(self, X: Tensor, Y: Tensor, name: str) -> Tensor:
        if name == "mse":
            return nn.functional.mse_loss(self(X), Y)
        return self.bottleneck.loss(self.features(X), Y)


def trained(X: Tensor, Y: Tensor, name: str, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        network.loss(X, Y, name).backward()
        optimizer.step()
        schedule.step()
    return network


def main() -> None:
    torch.set_num_threads(1)
    digits = load_digits().data.astype("float32") / 16
    digits = digits[np.random.default_rng(0).permutation(len(digits))]
    left = np.arange(64) % 8 < 4
    X, Y = (torch.from_numpy(digits[:1400, half]) for half in (left, ~left))
    new, truth = digits[1400:, left], digits[1400:, ~left]
    total = float(((truth - Y.numpy().mean(axis=0)) ** 2).mean())

    def errors(fit: Callable[[int], Any]) -> list[float]:
        cuts = range(1, P + 1)
        return [float(((np.asarray(fit(k)) - truth) ** 2).mean()) / total for k in cuts]

    def cut(model: StreamingReducedRankRegression, rows: Any) -> list[float]:
        Z = model.transform(rows)
        return errors(lambda k: model.target_mean_ + Z[:, :k] @ model.decoder_[:, :k].T)

    results: dict[str, Any] = {}
    for name in ("nested", "mse"):
        network = trained(X, Y, name)
        with torch.no_grad():
            results[name] = errors(lambda k: network(torch.from_numpy(new), k))  # noqa: B023
            hidden, seen = (network.features(torch.as_tensor(V)).numpy() for V in (X, new))
        if name == "nested":
            exact = StreamingReducedRankRegression(P).fit(hidden, Y)
            results["exact"] = cut(exact, seen)
    results["other"] = cut(StreamingReducedRankRegression(P).fit(X, Y), new)
    keep("bottleneck", results)
    for name, row in results.items():
        print(name, np.round(row, 3))
    draw(results)


def draw(results: dict[str, Any]) -> None:
    figure, axis = plt.subplots(figsize=(5.6, 3.6))
    labels = {
        "mse": "network, MSE",
        "nested": "network, nested loss",
        "exact": "its features, exact pairs",
        "other": "linear: pixels, exact pairs",
    }
    for name, label in labels.items():
        axis.plot(range(1, P + 1), results[name], label=label, **LINES[name])
    axis.set(xlabel="coordinates kept of the bottleneck's 8", yscale="log", ylim=(0.45, 5))
    axis.set_yticks([0.5, 1, 2, 4], labels=["0.5", "1", "2", "4"])
    axis.minorticks_off()
    axis.set(ylabel="error on digits not seen / variance")
    axis.legend(fontsize=8)
    save(figure, "bottleneck")


if __name__ == "__main__":
    main()
