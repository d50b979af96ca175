"""Figure 1: Gaussian rows in three dimensions. L finds the axes of the ellipsoid, the MSE a basis.

python -m benchmarks.paper.figure1
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from benchmarks.paper.descent import adam, full_batch
from benchmarks.paper.style import NAMES, keep, save
from streampca import StreamingPCA
from streampca.metrics import acs, ordered_share, principal_angles

SPREAD = np.array([3.0, 1.5, 0.6])
P = 2


def rows(m: int = 2000, seed: int = 3) -> np.ndarray:
    draws = np.random.default_rng(seed)
    basis = np.linalg.qr(draws.normal(size=(3, 3)))[0]
    X = draws.normal(size=(m, 3)) * SPREAD @ basis.T
    return X - X.mean(axis=0)


def main() -> None:
    torch.set_num_threads(1)
    X = rows()
    Sigma = X.T @ X / len(X)
    values, vectors = np.linalg.eigh(Sigma)
    axes = vectors[:, ::-1].T  # rows, longest first
    S = torch.from_numpy((Sigma / np.trace(Sigma)).astype("float32"))
    found: dict[str, np.ndarray] = {}
    for loss in ("nested", "mse"):
        state = adam(
            full_batch(S),
            3,
            P,
            loss,
            iterations=6000,
            rates=(1e-2, 1e-5),
            initial_sd=0.1,
            report=lambda state: None,
            seed=1,
        )
        found[loss] = np.asarray((state.A / state.A.norm(dim=0)).T)
    found["exact"] = StreamingPCA(P).fit(X).components_
    results = {
        name: {
            "cosines": np.round(acs(V, axes[:P]).diagonal(), 4).tolist(),
            "ordered": ordered_share(V, axes[:P]),
            "degrees_between_spans": float(np.degrees(principal_angles(V, axes[:P]).max())),
        }
        for name, V in found.items()
    }
    keep("figure1", results)
    print(results)
    draw(X, np.sqrt(values[::-1]), axes, found)


def draw(X: np.ndarray, lengths: np.ndarray, axes: np.ndarray, found: dict[str, Any]) -> None:
    figure = plt.figure(figsize=(10.5, 3.8))
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, np.pi, 13))
    ball = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], axis=-1)
    surface = 2 * ball * lengths @ axes
    reach = 2.5 * lengths[0]
    # from above the plane of the two long axes, a little to the side
    eye = axes[2] * np.sign(axes[2, 2]) + 0.35 * axes[1]
    azimuth = np.degrees(np.arctan2(eye[1], eye[0]))
    elevation = np.degrees(np.arctan2(eye[2], np.hypot(eye[0], eye[1])))
    for place, name in enumerate(("nested", "mse", "exact"), start=1):
        panel: Any = figure.add_subplot(1, 3, place, projection="3d")
        panel.plot_wireframe(*np.moveaxis(surface, -1, 0), color="0.8", linewidth=0.4)
        panel.scatter(*X[::8].T, s=2, color="0.6")
        for i in range(3):
            end = 2.4 * lengths[i] * axes[i]
            panel.plot(*np.stack([-end, end], axis=1), color="0.3", linewidth=0.9, linestyle=":")
        for i, direction in enumerate(found[name]):
            sign = np.sign(direction @ axes[i]) or 1.0
            end = 2.5 * lengths[i] * sign * direction
            panel.quiver(0, 0, 0, *end, color="black", linewidth=2.2, arrow_length_ratio=0.12)
            panel.text(*(1.12 * end), str(i + 1), fontsize=12)
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
        panel.set_title(NAMES[name], fontsize=11)
        panel.view_init(elev=elevation, azim=azimuth, roll=55)
        panel.set_box_aspect((1, 1, 1), zoom=1.5)
        panel.set_axis_off()
    figure.subplots_adjust(left=0, right=1, bottom=0, top=0.9, wspace=0)
    save(figure, "figure1")


if __name__ == "__main__":
    main()
