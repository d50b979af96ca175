"""A part: the moments of some rows, which is all that merging needs, as a value and as bytes.

No solution is in it, so that taking one costs a copy. Beam's workers send the same bytes. Nothing
here knows estimators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import fields
from streampca.wire import WireError, decode, encode

if TYPE_CHECKING:
    from streampca.moments import Moments

Names = tuple[str, ...] | None

_FAMILY, _NONE = "moments", "none"
_UNSEEN, _PAIRS = "unseen", "pairs"


class Side(NamedTuple):
    """Targets of a regression, which stand last in its moments."""

    n: int
    names: Names = None
    single: bool = False
    """Whether they came as a vector."""


class Part(NamedTuple):
    """Moments of some rows, and what has to fit when they are merged."""

    moments: Moments | None
    """None where there was no row."""
    names: Names = None
    settings: Mapping[str, Any] = {}
    """The estimator's parameters, as JSON values."""
    of_targets: bool = False
    """Whether these are rows and targets of a regression."""
    targets: Side | None = None
    """Which of the moments' features are targets, where there are moments of some."""
    unseen: NDArray[np.bool_] | None = None
    """Features that were gaps in every row."""

    @property
    def n_features(self) -> int:
        """Features, without targets."""
        assert self.moments is not None
        return self.moments.n_features - (0 if self.targets is None else self.targets.n)

    def placed(self, here: Names, targets_here: Names) -> Self:
        """This part with its features and targets in the order of these names.

        Raises
        ------
        ValueError
            If both sides have names, and not the same ones.
        """
        n = self.n_features
        features = places_by_name("feature", here, self.names)
        side = self.targets
        targets = None if side is None else places_by_name("target", targets_here, side.names)
        if self.moments is None or (features is None and targets is None):
            return self
        places = np.arange(self.moments.n_features)
        if features is not None:
            places[:n] = features
        if targets is not None:
            places[n:] = n + targets
        unseen = self.unseen
        if unseen is not None:
            unseen = np.empty_like(unseen)
            unseen[places] = self.unseen
        moments = self.moments.copy().widened(places, np.zeros(len(places)))
        return self._replace(moments=moments, unseen=unseen)

    def to_bytes(self) -> bytes:
        """Sealed Arrow bytes that `from_bytes` reads; see `streampca.wire`."""
        meta: dict[str, Any] = {"names": None if self.names is None else list(self.names)}
        if self.of_targets:
            meta["of"] = _PAIRS
        if self.settings:
            meta["settings"] = fields.settings(self.settings)
        if self.targets is not None:
            count, names, single = self.targets
            names_of = None if names is None else list(names)
            meta["targets"] = {"count": count, "names": names_of, "single": single}
        if self.moments is None:
            return encode(f"{_FAMILY}/{_NONE}", {}, meta)
        arrays = self.moments.state()
        if self.unseen is not None and self.unseen.any():
            arrays[_UNSEEN] = self.unseen
        return encode(f"{_FAMILY}/{self.moments.kind}", arrays, meta)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, device: object = None) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        WireError
            If the bytes are torn, foreign, or from a newer version.
        """
        wire = decode(data)
        family, _, kind = wire.kind.partition("/")
        if family != _FAMILY:
            raise WireError(f"Expected moments, but the data holds {wire.kind!r}.")
        arrays = dict(wire.arrays)
        unseen = arrays.pop(_UNSEEN, None)
        moments = None if kind == _NONE else _read_moments(kind, arrays, device)
        part = cls(
            moments,
            _names(wire.meta.get("names")),
            _settings(wire.meta.get("settings", {})),
            wire.meta.get("of") == _PAIRS,
            _side(wire.meta.get("targets")),
            None if unseen is None else unseen.astype(bool),
        )
        if moments is not None:
            part._check()
        return part

    @classmethod
    def of_checkpoint(cls, checkpoint: Any) -> Self:
        """The moments in a checkpoint, without its solution."""
        from streampca.moments import moments_from_state

        arrays = {k: v for k, v in checkpoint.moments.items() if not k.startswith("solver.")}
        unseen = arrays.pop(_UNSEEN, None)
        moments = moments_from_state(checkpoint.moments_kind, arrays)
        names, settings = checkpoint.feature_names, checkpoint.settings
        return cls(moments, names, settings, unseen=None if unseen is None else unseen.astype(bool))

    def _check(self) -> None:
        assert self.moments is not None
        n, targets = self.n_features, self.targets
        if self.of_targets != (targets is not None):
            raise WireError("Corrupt data: moments of a regression say which features are targets.")
        if targets is not None and not 0 < targets.n < self.moments.n_features:
            raise WireError(
                f"Corrupt data: {targets.n} targets in moments of {self.moments.n_features} "
                "features."
            )
        for names, count in (
            (self.names, n),
            (targets and targets.names, targets and targets.n),
        ):
            if names is not None and len(names) != count:
                raise WireError(
                    f"Corrupt data: {len(names)} names for moments of {count} features."
                )
        if self.unseen is not None and self.unseen.shape != (self.moments.n_features,):
            raise WireError("Corrupt data: the features unseen are not those of the moments.")


def _read_moments(kind: str, arrays: dict[str, NDArray[Any]], device: object) -> Moments:
    from streampca.moments import moments_from_state

    try:
        return moments_from_state(kind, arrays, device=device)
    except MemoryError as error:
        raise WireError(f"The moments claim more than memory can hold ({error}).") from error
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise WireError(f"Corrupt data: these are no {kind!r} moments ({error}).") from error


def _names(found: Any) -> Names:
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise WireError(f"Corrupt data: {str(found)[:80]!r} are no names of features.")
    if len(set(found)) < len(found):
        raise WireError("Corrupt data: two features have one name.")
    return tuple(found)


def _settings(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise WireError(f"Corrupt data: {str(found)[:80]!r} are no parameters.")
    return found


def _side(found: Any) -> Side | None:
    match found:
        case None:
            return None
        case {"count": int(count), "names": names, "single": bool(single)}:
            return Side(count, _names(names), single)
    raise WireError(f"Corrupt data: {str(found)[:80]!r} are no targets.")


def places_by_name(
    what: str, here: Sequence[str] | None, there: Sequence[str] | None
) -> NDArray[np.int64] | None:
    """Where each feature of a part stands here; None where the order is the same, or not known.

    Raises
    ------
    ValueError
        If both have names, and not the same ones.

    Examples
    --------
    >>> places_by_name("feature", ("oil", "air"), ("air", "oil"))
    array([1, 0])
    """
    if here is None or there is None or tuple(here) == tuple(there):
        return None
    place = {name: i for i, name in enumerate(here)}
    unexpected = [name for name in there if name not in place]
    missing = sorted(set(here) - set(there), key=place.__getitem__)
    if unexpected or missing:
        raise ValueError(
            f"cannot merge: the {what} names differ (missing: {_listed(missing)}; unexpected: "
            f"{_listed(unexpected)}): learn from the same {what}s in every part"
        )
    return np.array([place[name] for name in there])


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return shown or "none"
