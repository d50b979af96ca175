"""What learning costs, by kind of memory and shape, and the minibatches that follow from it.

A model of seven terms: how often a minibatch does each kind of work, counted from the algorithms,
times what each takes, measured once. Pure functions of numbers. Nothing is measured at run time:
the same parameters give the same defaults on every machine, so that their checkpoints merge.
"""

from __future__ import annotations

from typing import NamedTuple

from streampca.moments import FEW_FEATURES, PROBES, ROWS_TOGETHER, SKETCHED, sketched_directions
from streampca.solvers import cold_start


class Work(NamedTuple):
    """How often each kind of work is done; as prices, seconds for doing it once."""

    symmetric: float = 0.0  # operations of products X'X, of which BLAS does half: m n**2
    thin: float = 0.0  # operations of other products, 2 n k for each row and k columns
    rows: float = 0.0  # bytes of rows passed over
    arrays: float = 0.0  # bytes passed over of what is n x n or n x q
    cubes: float = 0.0  # k**3 of eigenproblems of k
    squares: float = 0.0  # k**2 of the same: what LAPACK does around the cubes
    calls: float = 0.0  # updates of dense memory without any rows: checks, Python, numpy's calls

    def plus(self, other: Work, times: float = 1.0) -> Work:
        """The sum of this and of `times` the other."""
        return Work(*(a + times * b for a, b in zip(self, other, strict=True)))

    def seconds(self, prices: Work | None = None) -> float:
        """How long it takes."""
        return sum(a * b for a, b in zip(self, prices or PRICES, strict=True))


# begin prices: python -m benchmarks.cost --renew
PRICES = Work(
    symmetric=4e-12,
    thin=3.8e-12,
    rows=2.8e-11,
    arrays=2.4e-11,
    cubes=1.1e-10,
    squares=3.4e-08,
    calls=2.7e-05,
)
# end prices
"""Seconds, float32, on two cores of an AMD EPYC (numpy's OpenBLAS). The defaults depend on their
ratios alone. With any one of them halved or doubled some minibatches double or halve; none of those
measured then takes more than 1.25 times as long as the best. Up to 1,024 features the choice of
memory does not depend on them at all."""

OVERHEAD = {"dense": 0.02, "factored": 0.08}
"""Share of a row's own cost that what is paid for each minibatch may add, about. Dense memory loses
nothing by waiting but the bytes of the rows, factored memory its place in the cache."""

_LEAST = 256
MOST = {"dense": 2048, "factored": 512}
"""Rows of a minibatch. More save next to nothing. Factored memory folds in up to
twice as many when they come together, in place: if it waited for 1,024, rows that come by the
thousand would all be copied, which costs more than it saves."""

_STEP = 256
"""Rows for one step of a first-order solver: fewer are noisier, more make fewer steps."""

_BUFFER = 2**25
"""Numbers that waiting rows may take: 128 MB of float32."""

_COLUMNS = 90
"""Columns of a Krylov space that a reading takes, and 2.8 for each component."""

# --- work, counted -------------------------------------------------------------------------------


def _scaled(itemsize: int) -> float:
    """Operations in float64 take twice as long as in float32."""
    return itemsize / 4


def sketch_columns(n: int, q: int) -> int:
    """Directions, and probes, through which a sketch sees the rows."""
    return sketched_directions(q) + min(PROBES, n - q)


def sketch_minibatches(q: int, m: int) -> int:
    """Minibatches that go into one sketch: each brings a row more, the step of the mean."""
    return max(1, max(SKETCHED, 24 * q) // (m + 1))


def _stacked(n: int, q: int, k: int, itemsize: int) -> Work:
    """What it takes to add k rows to q directions exactly: compress.stack."""
    return Work(
        thin=(10 * n * q * k + 6 * n * q * q + 4 * n * k * k) * _scaled(itemsize),
        arrays=itemsize * n * (8 * q + 60 * k),  # passes over new memory, some in float64
        cubes=(q + k) ** 3,
        squares=(q + k) ** 2,
        calls=20,
    )


def _sketch_end(n: int, q: int, itemsize: int) -> Work:
    """Directions of a sketch: sketch.compress."""
    r = sketch_columns(n, q)
    ahead = Work(thin=2 * n * r * r * _scaled(itemsize), arrays=6 * itemsize * n * r, cubes=r**3)
    return _stacked(n, q, r, itemsize).plus(ahead)


def _sketched(n: int, q: int, m: int) -> bool:
    return m > q and q < n


def row_work(memory: str, n: int, q: int, m: int, itemsize: int = 4) -> Work:
    """What each row costs in minibatches of m, as if calls and n x n arrays cost nothing."""
    scaled = _scaled(itemsize)
    if memory == "dense":  # passes: finite? mean, sum of squares, and what X'X packs
        work = Work(symmetric=n * (n + 1) * scaled, rows=5 * n * itemsize)
        if n <= FEW_FEATURES:
            return work
        # one triangle of what waits is begun with zeros, and added in float64
        return work.plus(Work(arrays=(2 * itemsize + 8) * n * n / ROWS_TOGETHER))
    if not _sketched(n, q, m):
        symmetric = n * (n + 1) * scaled if q == n else 0.0
        return Work(symmetric=symmetric, rows=8 * n * itemsize)
    r = sketch_columns(n, q)
    padded = -(-r // 16) * 16  # BLAS computes complete blocks of columns
    work = Work(
        symmetric=r * r * scaled,
        thin=4 * n * padded * scaled,
        rows=5 * n * itemsize,
        arrays=6 * r * itemsize,
    )
    return work.plus(_sketch_end(n, q, itemsize), 1 / (m * sketch_minibatches(q, m)))


def minibatch_work(memory: str, n: int, q: int, m: int, itemsize: int = 4) -> Work:
    """What each minibatch of m rows costs beside its rows."""
    if memory == "dense" and n <= FEW_FEATURES:  # all of X'X is formed, and added in float64
        return Work(arrays=(7 * itemsize + 16) * n * n, calls=1)
    if memory == "dense":  # BLAS adds X'X to one triangle
        return Work(arrays=itemsize * n * n, calls=1)
    if _sketched(n, q, m):
        return Work(arrays=8 * itemsize * n * sketch_columns(n, q), calls=1.5)
    return _stacked(n, q, n if q == n else m, itemsize)


def direct_solution(n: int) -> Work:
    """An eigendecomposition of an n x n matrix."""
    return Work(cubes=n**3, squares=n**2, calls=5)


def reading_work(memory: str, n: int, p: int, q: int) -> Work:
    """What the first reading of p components costs; later ones begin from those before."""
    if memory == "factored":  # and directions in float64, and what they miss
        return _sketch_end(n, q, 4).plus(Work(thin=8 * n * q * p, arrays=24 * n * (q + 10 * p)))
    _, most = cold_start(n, p)
    if most == 0:
        return direct_solution(n)
    # as many columns as spectra like 1 / i need, three passes over them, Cholesky's proof for every
    # other one; in float64.
    # Blocks are thin: each passes over Sigma once and over the columns so far four times
    space = min(_COLUMNS + 2.8 * p, most)
    products = 2 * n * n * space + 2 * n * space**2
    return Work(
        thin=2 * products + 0.9 * n**3,
        cubes=2 * space**3,
        squares=2 * space**2,
        arrays=(32 + space) * n * n + 2 * n * space**2,
        calls=100,
    )


# --- seconds and bytes ---------------------------------------------------------------------------


def seconds_a_row(
    memory: str,
    n: int,
    q: int,
    batch_size: int,
    *,
    itemsize: int = 4,
    prices: Work | None = None,
) -> float:
    """Seconds to learn a row.

    Parameters
    ----------
    memory : {"dense", "factored"}
        What is remembered. (What a first-order solver costs is its optimizer's business.)
    n, q : int
        Features; directions that factored memory keeps (dense memory does not).
    batch_size : int
        Rows of a minibatch, given together: rows that come in smaller calls are copied once more,
        and each call costs some microseconds.
    itemsize : {4, 8}
        Bytes of a number of the rows.
    prices : Work, optional
        What work takes on another machine.

    Examples
    --------
    >>> dense = seconds_a_row("dense", 784, 40, 2048)
    >>> factored = seconds_a_row("factored", 784, 40, 512)
    >>> 2 < dense / factored < 4
    True
    """
    m = batch_size
    work = row_work(memory, n, q, m, itemsize)
    return work.plus(minibatch_work(memory, n, q, m, itemsize), 1 / m).seconds(prices)


def reading_seconds(memory: str, n: int, p: int, q: int, prices: Work | None = None) -> float:
    """Seconds to the first p components; see `reading_work`."""
    return reading_work(memory, n, p, q).seconds(prices)


def remembered_bytes(memory: str, n: int, q: int, *, itemsize: int = 4) -> int:
    """Bytes that moments hold: second moments and means, and a sketch.

    Dense memory of more than 128 features holds n**2 numbers more while the sum of the last
    minibatches waits, until components are read.
    """
    if memory == "dense":
        return 8 * n * n + 8 * n
    r = sketch_columns(n, q) if q < n else 0
    return itemsize * n * (q + 2 * r) + 8 * (q + r * r) + 16 * n


# --- choices -------------------------------------------------------------------------------------


def batch_size(memory: str, n: int, q: int, prices: Work | None = None) -> int:
    """Rows to wait for: where a minibatch adds only `OVERHEAD` to what its rows cost themselves.

    The nearest power of two from 256 to `MOST`. Factored memory takes up to q rows another, exact
    way at a much higher price, so it waits for twice as many at least. Rows that wait take at most
    128 MB, unless those are fewer than 2 q.
    """
    if memory == "minibatch":
        return _STEP
    m, most = _LEAST, MOST[memory]
    at = max(most, 2 * q) if memory == "factored" else most
    fixed = minibatch_work(memory, n, q, at).seconds(prices)
    wanted = fixed / (OVERHEAD[memory] * row_work(memory, n, q, at).seconds(prices))
    while m < most and m * 2**0.5 < wanted:
        m *= 2
    m = min(m, max(1, _BUFFER // n))
    return max(m, 2 * q) if memory == "factored" else m
