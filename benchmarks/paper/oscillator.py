"""Ordered modes of a linear dynamic system, from pairs x_t -> x_{t+1} (the paper's section 1).

With targets Y = x_{t+1} and inputs X = x_t the decoder's columns are the eigenvectors of
Sigma = F P F', what of the next state can be foreseen, in order; the eigenvalues of B A are those
of the dynamics on their span. Two damped oscillators seen by ten sensors, against the closed form;
then the months of a real series (River's AirlinePassengers, 1949 to 1960).

    python -m benchmarks.paper.oscillator         # half a minute
"""

from __future__ import annotations

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm, solve_discrete_lyapunov

from benchmarks.paper.style import LINES, keep, save
from streampca import StreamingReducedRankRegression
from streampca.metrics import acs

Matrix = NDArray[np.float64]
STEP = 0.1


class System(NamedTuple):
    """x_t = C z_t, z_{t+1} = F z_t + noise of covariance Q."""

    F: Matrix  # (4, 4)
    C: Matrix  # (10, 4)
    Q: Matrix  # (4, 4)

    @property
    def covariance(self) -> Matrix:
        """P of z in the steady state: P = F P F' + Q."""
        return solve_discrete_lyapunov(self.F, self.Q)

    @property
    def foreseen(self) -> Matrix:
        """Sigma of the sensors: C F P F' C', the covariance of the best forecast."""
        CF = self.C @ self.F
        return CF @ self.covariance @ CF.T

    def series(self, steps: int, seed: int = 0, driven: bool = True) -> Matrix:
        """Sensors over time, (steps, 10): from the steady state on, or ringing down undriven."""
        draws = np.random.default_rng(seed)
        z = draws.multivariate_normal(np.zeros(4), self.covariance)
        pushes = draws.multivariate_normal(np.zeros(4), self.Q, size=steps) * driven
        states = np.empty((steps, 4))
        for t in range(steps):
            states[t] = z
            z = self.F @ z + pushes[t]
        return states @ self.C.T


def damped_oscillators(
    frequencies: tuple[float, ...] = (1.3, 3.1), dampings: tuple[float, ...] = (0.05, 0.1)
) -> System:
    """Oscillators z'' = -2 zeta omega z' - omega^2 z, in steps of 0.1."""
    n = 2 * len(frequencies)
    rates = np.zeros((n, n))
    for i, (omega, zeta) in enumerate(zip(frequencies, dampings, strict=True)):
        rates[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[0, 1], [-(omega**2), -2 * zeta * omega]]
    F = expm(rates * STEP)
    C = np.random.default_rng(5).normal(size=(10, n))
    return System(F, C, np.diag([0.0, 1.0] * len(frequencies)) * 0.05 + 1e-4 * np.eye(n))


def forecaster(series: Matrix, p: int, size: int = 500, **options: Any) -> Any:
    """Reduced-rank regression of x_{t+1} on x_t, learned as a stream."""
    model = StreamingReducedRankRegression(p, **options)
    for start in range(0, len(series) - 1, size):
        rows = series[start : start + size + 1]
        model.partial_fit(rows[:-1], rows[1:])
    return model


def dynamics(model: Any) -> NDArray[np.complex128]:
    """Eigenvalues of A B, p x p as B A: growth and turn of each mode in one step."""
    values = np.linalg.eigvals(model.encoder_ @ model.decoder_)
    return values[np.lexsort((values.imag, -np.abs(values)))]


def distance(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Largest distance of a true eigenvalue from the nearest one found."""
    return float(np.abs(found[:, None] - truth).min(axis=0).max())


# --- the oscillators ----------------------------------------------------------------------


def oscillators() -> dict[str, Any]:
    system = damped_oscillators()
    truth = np.linalg.eigvals(system.F)
    values, vectors = np.linalg.eigh(system.foreseen)
    values, vectors = values[::-1][:4], vectors[:, ::-1][:, :4].T
    free = forecaster(system.series(400, driven=False), 4, fit_intercept=False)
    history = []
    for steps in (300, 1000, 3000, 10_000, 30_000, 100_000):
        runs = [forecaster(system.series(steps, seed), 4) for seed in range(5)]
        sines = [np.sqrt(1 - acs(m.decoder_.T, vectors).diagonal() ** 2) for m in runs]
        variances = [np.abs(m.explained_variance_ / values - 1).max() for m in runs]
        history.append(
            {
                "steps": steps,
                "sine": np.median(sines, axis=0).tolist(),
                "variance": float(np.median(variances)),
                "eigenvalue": float(np.median([distance(dynamics(m), truth) for m in runs])),
            }
        )
    return {
        "truth": [[z.real, z.imag] for z in truth],
        "found": [[z.real, z.imag] for z in dynamics(forecaster(system.series(3000), 4))],
        "free": distance(dynamics(free), truth),
        "history": history,
    }


# --- a real series ----------------------------------------------------------------------


def passengers(lags: int = 24) -> Matrix:
    """Monthly passengers, in logarithms; each row holds the last `lags` months."""
    from river.datasets import AirlinePassengers

    months = np.log([count for _, count in AirlinePassengers()])
    return np.lib.stride_tricks.sliding_window_view(months, lags)[:, ::-1].copy()


def real() -> dict[str, Any]:
    rows = passengers()
    model = forecaster(rows, 8, size=10)
    X, Y = rows[:-1], rows[1:]
    D, E = X - X.mean(axis=0), Y - Y.mean(axis=0)
    U, s, _ = np.linalg.svd((D @ np.linalg.lstsq(D, E, rcond=None)[0]).T, full_matrices=False)
    turns = dynamics(model)
    return {
        "rows": len(X),
        "ratio": model.explained_variance_ratio_.tolist(),
        "decoder": model.decoder_.T.tolist(),
        "error": float(np.abs(model.singular_values_ / s[:8] - 1).max()),
        "cosine": float(acs(model.decoder_.T, U[:, :8].T).diagonal().min()),
        "periods": [
            [float(2 * np.pi / np.angle(z)), float(abs(z))] for z in turns if z.imag > 1e-9
        ],
        "without period": [float(z.real) for z in turns if abs(z.imag) <= 1e-9],
    }


def main() -> None:
    results = {"oscillators": oscillators(), "passengers": real()}
    keep("oscillator", results)
    print(results["passengers"], results["oscillators"]["free"], sep="\n")
    for row in results["oscillators"]["history"]:
        print(row)
    draw(results)


def draw(results: dict[str, Any]) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.5))
    run = results["oscillators"]
    turn = np.linspace(0, 2 * np.pi, 200)
    axes[0].plot(np.cos(turn), np.sin(turn), color="0.7", linewidth=1)
    for name, marker, size, fill in (("truth", "o", 11, "white"), ("found", "x", 6, "black")):
        points = np.array(run[name])
        label = "closed form" if name == "truth" else "from 3,000 steps"
        axes[0].plot(*points.T, marker, color="black", markersize=size, mfc=fill, label=label)
    axes[0].set(xlim=(0.85, 1.02), ylim=(-0.4, 0.4), xlabel="real part", ylabel="imaginary part")
    axes[0].set_title("eigenvalues of two oscillators", fontsize=10)
    axes[0].legend(fontsize=8, loc="center left")
    steps = [row["steps"] for row in run["history"]]
    sines = np.array([max(row["sine"]) for row in run["history"]])
    axes[1].loglog(steps, sines, label="worst direction (sine)", **LINES["nested"])
    eigenvalues = [row["eigenvalue"] for row in run["history"]]
    axes[1].loglog(steps, eigenvalues, label="worst eigenvalue", **LINES["mse"])
    root = sines[-1] * np.sqrt(steps[-1] / np.array(steps))
    axes[1].loglog(steps, root, color="0.6", linewidth=0.8, label="1 / root of the steps")
    axes[1].set(xlabel="steps seen", ylabel="distance from the closed form")
    axes[1].set_title("driven by noise", fontsize=10)
    axes[1].legend(fontsize=8)
    real = results["passengers"]
    for i, style in ((0, "nested"), (1, "mse"), (3, "exact")):
        label = f"{i + 1}: {100 * real['ratio'][i]:.1f} % of the variance"
        line = {**LINES[style], "markevery": 3}
        axes[2].plot(range(0, -24, -1), real["decoder"][i], label=label, **line)
    axes[2].set(xlabel="months before the next", ylabel="column of the decoder", ylim=(-0.6, 0.45))
    axes[2].set_title("airline passengers", fontsize=10)
    axes[2].legend(fontsize=8, loc="lower left")
    figure.tight_layout()
    save(figure, "oscillator")


if __name__ == "__main__":
    main()
