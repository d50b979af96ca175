"""Rows that figures are drawn of."""

import numpy as np
import pandas as pd

NAMES = [f"sensor {i}" for i in range(30)]
LONG = [f"unit_07_reactor_{'ab'[i % 2]}_temperature_{i // 2:02d}" for i in range(30)]
TIMES = np.datetime64("2026-01-05T22:00") + np.arange(300) * np.timedelta64(3, "m")


def rows(m=300, n=30, seed=0):
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).normal(size=(4, n))
    return rng.normal(size=(m, 4)) @ mix + 0.3 * rng.normal(size=(m, n))


def named(m=300, seed=0, names=NAMES):
    return pd.DataFrame(rows(m, seed=seed), columns=names)
