"""Everything that StreamingPCA shows of a stream, held against the truth; what is wrong, in words.

Invariants that hold for any rows come first, then numbers to the bounds of spectral_truth.py.
"""

from __future__ import annotations

import numpy as np
from spectral_truth import UNIT, Bounds, Truth

ORTHONORMAL = {"float32": 1e-4, "float64": 1e-10}
"""What is promised of |C C' - I| on the components that there are."""

SOLVED = 1e-10
"""Residuals that a solver may leave: ten times what it stops at."""


class Reading:
    """One look at an estimator."""

    def __init__(self, pca, stream, truth: Truth, n_updates: int) -> None:
        self.pca, self.stream, self.truth = pca, stream, truth
        self.wrong: list[str] = []
        self.figures: dict[str, float] = {}
        self.u = UNIT[stream.dtype]
        self.factored = stream.options["memory"] != "dense"
        self.bounds = Bounds(truth, stream.dtype, self.factored, n_updates)
        # unit**2 may lie outside float64 where the variances do not
        self.C = np.asarray(pca.components_, "float64")
        self.values = pca.explained_variance_ / truth.unit / truth.unit
        self.discarded = pca.discarded_variance_ / truth.unit / truth.unit

    def fail(self, text: str) -> None:
        self.wrong.append(text)

    def within(self, what, found, true, allowed) -> None:
        """Say so where |found - true| exceeds what is allowed, somewhere."""
        found, true = np.broadcast_arrays(np.atleast_1d(found), np.atleast_1d(true))
        off = np.abs(found - true)
        allowed = np.broadcast_to(allowed, off.shape)
        bad = ~(off <= allowed)
        if bad.any():
            i = np.unravel_index(int(np.argmax(np.where(bad, off, -1.0))), off.shape)
            self.fail(f"{what}{list(map(int, i))} is {found[i]:.6g}, true {true[i]:.6g}, "
                      f"{off[i]:.2g} off, {allowed[i]:.2g} allowed")  # fmt: skip

    # --- for any rows ----------------------------------------------------------------------

    def finite(self) -> None:
        pca = self.pca
        for name in ("components_", "explained_variance_", "explained_variance_ratio_", "mean_",
                     "var_", "noise_variance_", "singular_values_", "loss_", "residuals_",
                     "discarded_variance_", "decoder_", "encoder_"):  # fmt: skip
            if not np.isfinite(getattr(pca, name)).all():
                self.fail(f"{name} is not finite")

    def orthonormal(self) -> None:
        C, values = self.C, self.values
        there = (C != 0).any(axis=1)
        if not there.all() and (values[~there] > 0).any():
            self.fail("a component of zeros has variance")
        off = np.abs(C @ C.T - np.diag(there.astype("float64"))).max()
        self.figures["orthonormality"] = float(off)
        if not off <= ORTHONORMAL[self.stream.dtype]:
            self.fail(f"|C C' - I| is {off:.2g}")

    def ordered_and_no_more_than_all(self) -> None:
        values, total = self.values, float(self.pca.var_.sum() / self.truth.unit / self.truth.unit)
        if (values < 0).any() or (np.diff(values) > 0).any():
            self.fail("eigenvalues are negative or out of order")
        allowed = 2 * self.bounds.sigma
        if values.sum() > total + allowed:
            self.fail(f"eigenvalues add up to {values.sum():.6g} of {total:.6g}")
        ratio = self.pca.explained_variance_ratio_
        slack = allowed / total if total > 0 else 0.0
        if (ratio < 0).any() or (ratio > 1 + slack).any() or ratio.sum() > 1 + slack:
            self.fail(f"ratios add up to {ratio.sum():.6g}")

    def counts(self) -> None:
        pca, t = self.pca, self.truth
        rows = {len(t.X), int((t.copies > 0).sum())}
        if pca.n_samples_seen_ not in rows:
            self.fail(f"n_samples_seen_ is {pca.n_samples_seen_} of {len(t.X)}")
        self.within("weight_", pca.weight_, t.weight, 1e-12 * t.weight)
        own = pca.singular_values_**2 / t.unit / t.unit
        self.within("singular_values_**2", own, self.values * t.divisor,
                    1e-9 * self.values * t.divisor)  # fmt: skip

    def number(self) -> None:
        """As many components as were asked for: of a share, the fewest that reach it."""
        asked, t, p = self.stream.options["n_components"], self.truth, len(self.values)
        if asked is None or isinstance(asked, int):
            if p != (asked or t.X.shape[1]):
                self.fail(f"n_components_ is {p}, asked {asked}")
            return
        slack = (p + 1) * self.bounds.sigma
        reached = np.cumsum(t.values)
        if reached[p - 1] < asked * t.total - slack:
            self.fail(f"{p} components reach {reached[p - 1]:.6g} of {t.total:.6g}")
        if p > 1 and reached[p - 2] > asked * t.total + slack:
            self.fail(f"{p - 1} components would do")

    # --- numbers ----------------------------------------------------------------------------

    def moments(self) -> None:
        pca, t, b = self.pca, self.truth, self.bounds
        self.within("mean_", pca.mean_ / t.unit, t.mean, b.delta)
        self.within("var_", pca.var_ / t.unit / t.unit, t.variance, b.variance + 1e-300)

    def eigenvalues(self) -> None:
        t, b, p = self.truth, self.bounds, len(self.values)
        off = self.values - t.values[:p]
        first = t.values[0] if t.values[0] > 0 else 1.0
        self.figures["eigenvalues"] = float(np.abs(off).max() / first)
        self.figures["beyond the certificate"] = float(
            max(0.0, np.abs(off).max() - self.discarded) / first
        )
        self.figures["discarded"] = float(self.discarded / (t.total or 1.0))
        if self.discarded < 0 or self.discarded > t.total + b.sigma:
            self.fail(f"discarded_variance_ is {self.discarded:.3g} of {t.total:.3g}")
        if self.stream.options["memory"] == "dense" and self.discarded != 0:
            self.fail("dense memory says that it discards")
        low = b.sigma + self.discarded
        self.within("explained_variance_", self.values, t.values[:p],
                    np.where(off > 0, b.sigma, low))  # fmt: skip

    def residuals(self) -> None:
        t, b, claimed = self.truth, self.bounds, self.pca.residuals_
        first = float(self.values[0])
        stored = 10 * self.u * len(self.values) ** 0.5 * self.factored
        self.figures["residual"] = float(claimed.max())
        if not (claimed <= SOLVED + stored).all():
            self.fail(f"residuals_ say {claimed.max():.2g}: it is not solved")
        R = t.product(self.C.T).T - self.values[:, None] * self.C
        lengths = np.linalg.norm(R, axis=1)
        # components are cast to the dtype of the rows: each entry is rounded once
        allowed = claimed * first + self.discarded + b.sigma + 4 * self.u * t.values[0]
        self.within("residual against the true covariance", lengths, 0.0, allowed)

    def noise(self) -> None:
        t, b, p = self.truth, self.bounds, len(self.values)
        n = t.X.shape[1]
        left_out = t.total - t.values[:p].sum()
        eps = 2 * UNIT[self.stream.dtype] * t.total  # below it counts as none
        slack = p * (b.sigma + self.discarded) + b.sigma + eps
        found = self.pca.noise_variance_ / t.unit / t.unit
        # rows of weight zero are as if absent; are those of weight two counted twice?
        counted = (int((t.copies > 0).sum()), int(min(t.copies.sum(), 10**9)))
        places = [min(n, count) - p for count in counted]
        right = [abs(found - (left_out / k if k > 0 else 0.0)) <= slack / max(k, 1) for k in places]
        if not any(right):
            self.fail(f"noise_variance_ is {found:.4g}, true {left_out:.4g} / {max(places[0], 0)}")

    def loss(self) -> None:
        t, b, p = self.truth, self.bounds, len(self.values)
        weights = np.arange(p, 0, -1.0)
        per_weight = t.divisor / t.weight
        true = (p * t.total - weights @ t.values[:p]) * per_weight
        slack = (weights.sum() + p) * (b.sigma + self.discarded)
        self.within("loss_", self.pca.loss_ / t.unit / t.unit, true, slack * per_weight)

    # --- all of it --------------------------------------------------------------------------

    def check(self) -> list[str]:
        """What is wrong."""
        self.finite()
        if self.wrong:
            return self.wrong
        for each in (
            *(self.orthonormal, self.counts, self.ordered_and_no_more_than_all, self.moments),
            *(self.eigenvalues, self.residuals, self.noise, self.loss, self.number),
        ):
            each()
        return self.wrong
