"""Sums over the parts of a source, added up in an order that no runner changes.

The last bits of a sum depend on its order, and runners deliver rows in any order and in bundles of
any size. So rows that are read from files say where they come from, and a binary tree over these
places, not their arrival, says what is added to what. Two neighbours are added as soon as both are
there; what has no neighbour (yet) waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from streampca.moments import Moments, moments_from_state
from streampca.wire import Wire, WireError, encode

Rows = list[NDArray[Any]]

Fold = Callable[[Rows], Moments]
"""Makes moments of rows."""


class Place(NamedTuple):
    """Where rows of one key and window come from, in the order of the source."""

    file: int
    part: int  # of the file
    chunk: int  # of the part, where several elements of a chunk fall into one window; else 0
    number: int  # counted from 0 within these, with few gaps


class Node(NamedTuple):
    """What is remembered of a stretch of the source: few rows as they are, many as moments."""

    rows: Rows
    moments: Moments | None


_At = tuple[tuple[int, int, int], int, int]
"""A node's tree, its height in it, and its number among those of that height."""


class PlacedSum:
    """The sum over what has come so far of one key and window.

    Parameters
    ----------
    fold : callable
        Makes moments of rows.
    few : callable
        How many rows stay rows, by the number of features.
    """

    KIND = "placed moments"
    """What the bytes say that they are."""

    def __init__(self, fold: Fold, few: Callable[[int], int]) -> None:
        self._fold = fold
        self._few = few
        self._nodes: dict[_At, Node] = {}

    def add(self, place: Place, values: NDArray[Any]) -> None:
        """Add the rows (m, n) of a place.

        Raises
        ------
        ValueError
            If rows of that place have been added before.
        """
        self._put((place[:3], 0, place.number), self._node([values]))

    def merge(self, other: PlacedSum) -> None:
        """Add what the other has, which is not to be used any more."""
        for at, node in other._nodes.items():
            self._put(at, node)

    def total(self) -> Moments:
        """Return the moments of all rows, whatever the order in which they have come."""
        trees: dict[tuple[int, int, int], dict[tuple[int, int], Node]] = {}
        for (tree, height, number), node in self._nodes.items():
            trees.setdefault(tree, {})[height, number] = node
        roots = {number: self._root(trees[tree]) for number, tree in enumerate(sorted(trees))}
        root = self._root({(0, number): root for number, root in roots.items()})
        self._nodes = {}
        return self._moments(root)

    def rows(self) -> NDArray[Any] | None:
        """All rows (m, n) in the order of the source, if all are still here as they are."""
        if any(node.moments is not None for node in self._nodes.values()):
            return None
        # a node's places come before those of the next of its tree, whatever their heights
        order = sorted(self._nodes, key=lambda at: (at[0], at[2] << at[1]))
        return np.concatenate([rows for at in order for rows in self._nodes[at].rows])

    # --- the tree ---------------------------------------------------------------------------------

    def _put(self, at: _At, node: Node) -> None:
        tree, height, number = at
        if at in self._nodes:
            raise ValueError(f"rows of one place, {tree} {number}, have come twice")
        # A node that is kept has all that can lie below it: so it never changes any more.
        while (tree, height, number ^ 1) in self._nodes:
            beside = self._nodes.pop((tree, height, number ^ 1))
            node = self._both(beside, node) if number & 1 else self._both(node, beside)
            height, number = height + 1, number >> 1
        self._nodes[tree, height, number] = node

    def _root(self, nodes: dict[tuple[int, int], Node]) -> Node:
        """The sum of a tree: where one of two neighbours is missing, the other stands for both."""
        level: dict[int, Node] = {}
        height = 0
        while True:
            level |= {number: node for (h, number), node in nodes.items() if h == height}
            if len(level) == 1 and all(h <= height for h, _ in nodes):
                return next(iter(level.values()))
            above: dict[int, Node] = {}
            for number in sorted(level):
                left = above.get(number >> 1)
                node = level[number]
                above[number >> 1] = node if left is None else self._both(left, node)
            level, height = above, height + 1

    def _both(self, left: Node, right: Node) -> Node:
        if left.moments is None and right.moments is None:
            return self._node(left.rows + right.rows)
        moments = self._moments(left)
        moments.merge(self._moments(right))
        return Node([], moments)

    def _node(self, rows: Rows) -> Node:
        node = Node(rows, None)
        few = sum(map(len, rows)) <= self._few(rows[0].shape[1])
        return node if few else Node([], self._moments(node))

    def _moments(self, node: Node) -> Moments:
        if node.moments is not None:
            return node.moments
        moments = self._fold(node.rows)
        moments.state()  # what crosses workers is settled; what stays has to go on to the same bits
        return moments

    # --- between workers --------------------------------------------------------------------------

    def to_bytes(self, names: tuple[str, ...] | None) -> bytes:
        """Return all of it as sealed bytes, with the names of the features."""
        arrays: dict[str, NDArray[Any]] = {}
        places = []
        for i, ((tree, height, number), node) in enumerate(sorted(self._nodes.items(), key=_at)):
            kind = None if node.moments is None else node.moments.kind
            places.append([*tree, height, number, kind])
            state = {"rows": np.concatenate(node.rows)} if node.rows else {}
            if node.moments is not None:
                state = node.moments.state()
            arrays |= {f"{i}/{name}": array for name, array in state.items()}
        meta = {"names": None if names is None else list(names), "places": places}
        return encode(self.KIND, arrays, meta)

    @classmethod
    def from_wire(cls, wire: Wire, fold: Fold, few: Callable[[int], int]) -> Self:
        """Return what `to_bytes` wrote.

        Raises
        ------
        WireError
            If it is not that.
        """
        found = cls(fold, few)
        try:
            for i, (*tree, height, number, kind) in enumerate(wire.meta["places"]):
                state = _of(wire.arrays, f"{i}/")
                moments = None if kind is None else moments_from_state(kind, state)
                rows = [_matrix(state["rows"])] if kind is None else []
                a, b, c, height, number = map(int, (*tree, height, number))
                found._nodes[(a, b, c), height, number] = Node(rows, moments)
            widths = {_width(node) for node in found._nodes.values()}
        except MemoryError as error:
            raise WireError(f"The moments claim more than memory can hold ({error}).") from error
        except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
            raise WireError(f"Corrupt data: these are no placed moments ({error}).") from error
        if len(widths) != 1:
            raise WireError(f"Corrupt data: placed moments of {len(widths)} widths.")
        return found

    @property
    def n_features(self) -> int:
        """How many features the rows have."""
        return _width(next(iter(self._nodes.values())))

    def nbytes(self) -> int:
        """Bytes, roughly."""
        return sum(
            sum(rows.nbytes for rows in node.rows)
            if node.moments is None
            else sum(array.nbytes for array in node.moments.state().values())
            for node in self._nodes.values()
        )


def _at(item: tuple[_At, Node]) -> _At:
    return item[0]


def _of(arrays: Mapping[str, NDArray[Any]], start: str) -> dict[str, NDArray[Any]]:
    return {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}


def _matrix(rows: NDArray[Any]) -> NDArray[Any]:
    if rows.ndim != 2 or not len(rows) or rows.dtype.kind != "f":
        raise ValueError(f"rows of shape {rows.shape} and type {rows.dtype}")
    return rows


def _width(node: Node) -> int:
    return node.rows[0].shape[1] if node.moments is None else node.moments.n_features
