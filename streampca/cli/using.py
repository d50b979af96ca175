"""Rows of files beside the models of a store that are to use them: one for all, or one a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import typer

from streampca import Checkpoint
from streampca.checkpoint import Key
from streampca.cli import output
from streampca.cli.find import find, find_in, open_store
from streampca.cli.models import grouped
from streampca.cli.options import read_time, refuse_more
from streampca.files import (
    BadRow,
    BadRows,
    Columns,
    Rows,
    Source,
    choose_columns,
    formats,
    read_source,
)


class Group(NamedTuple):
    """Rows of a chunk that one model is to use."""

    model: Checkpoint
    at: Any  # where they are among the rows of the chunk
    values: Any


class Using:
    """Reads sources, and finds each row's model.

    Parameters
    ----------
    place : str
        A store, or the file of one checkpoint.
    key, at : str, optional
        Which checkpoint.
    asked : dict
        Options of reading; `key_column` says each row's key, instead of `key`.
    moments : bool
        Whether the models need what is only for going on and for limits.
    of_one_key : bool
        Whether one model is used, and `key_column` says which rows are its.

    Attributes
    ----------
    first : Checkpoint
        The only model, or the one by whose features columns are chosen.
    """

    def __init__(
        self,
        place: str,
        key: str | None,
        at: str | None,
        asked: dict[str, Any],
        *,
        moments: bool = False,
        of_one_key: bool = False,
    ) -> None:
        key_column = asked.get("key_column")
        self._asked = asked
        if key is not None and key_column is not None and not of_one_key:
            raise typer.BadParameter("--key is one model and --key-column each row's: give one")
        self.key_column = None if of_one_key else key_column
        self.of_one_key = of_one_key and key_column is not None
        self._moments = moments
        self._models: dict[Key, Checkpoint | str] = {}
        self._store = None
        if self.key_column is not None:
            self._store, self._time = open_store(place), read_time(at)
            keys = self._store.keys()
            self._keys = {str(each): each for each in keys if each is not None}
            if not self._keys:
                raise ValueError(f"{place}: has no models of keys; leave out --key-column")
            self.first = find_in(self._store, next(iter(self._keys.values())), moments=False)
        else:
            self.first = find(place, key, at, moments=moments)
            self._models[None] = self.first

    @property
    def n_components(self) -> int:
        """Of the model, or the most that any model so far has."""
        found = [m for m in self._models.values() if isinstance(m, Checkpoint)]
        return max(len(model.components) for model in found or [self.first])

    def checked(self, n_components: int | float | str | None) -> int | float | str:
        """What --n-components says; raises where it is more than the model has."""
        if self.key_column is None:
            refuse_more(n_components, self.first)
        return n_components or "auto"

    def columns(self, source: Source, kept: Sequence[str] = ()) -> Columns:
        """The columns of a source that the models want.

        Raises
        ------
        ValueError
            If a feature is missing, or the number of columns is not that of the features.
        """
        names, asked = self.first.feature_names, self._asked
        if names is not None and "columns" not in asked:
            types = formats.layout(source, asked).types
            columns = list(names)
            if names[0] not in types and "_" in names[0]:
                columns = [names[0].rpartition("_")[0]]  # one column of lists, as `fit` names them
            asked = {**asked, "columns": columns}
        gaps = self.first.settings.get("missing") == "impute"
        chosen = choose_columns(source, asked, kept=kept, gaps=gaps, say=output.say)
        n = self.first.components.shape[1]
        lost = [name for name in names or () if name not in chosen.names]
        if lost and len(chosen.names) < n:
            raise ValueError(
                f"{source.name}: --columns leaves out {', '.join(map(repr, lost[:8]))}"
                f"{', ...' if len(lost) > 8 else ''}, which the model has as features; name all of "
                "its features, or leave out --columns"
            )
        if len(chosen.names) != n:
            raise ValueError(
                f"{source.name}: has {len(chosen.names)} columns of features, and the model "
                f"{n} features; choose with --columns"
            )
        return chosen

    def groups(self, rows: Rows) -> Iterator[Group | BadRow]:
        """Rows with their models; those whose key has none are bad."""
        if self.of_one_key:
            mine = np.array([str(key) == str(self.first.key) for key in rows.keys or ()], bool)
            if mine.any():
                yield Group(self.first, np.flatnonzero(mine), rows.values[mine])
            return
        for key, at in grouped(rows.keys, len(rows.values)):
            model = self._model(key)
            if isinstance(model, Checkpoint):
                yield Group(model, at, rows.values[at])
                continue
            for row in np.arange(len(rows.values))[at].tolist():
                reason = f"{rows.where(row)}: {model}"
                yield BadRow(int(rows.record[row]), reason, key, None)

    def read(self, source: Source, columns: Columns, bad_rows: BadRows) -> Iterator[Any]:
        """Chunks of rows with their groups; what cannot be used goes to `bad_rows`."""
        for rows in read_source(source, self._asked, columns, say=output.say):
            found = list(self.groups(rows))
            bad = [each for each in found if isinstance(each, BadRow)]
            named = [each._replace(reason=f"{source.name}, {each.reason}") for each in bad]
            bad_rows.take(sorted([*rows.bad, *named], key=lambda each: each.record))
            if len(rows.values):
                yield rows, [each for each in found if isinstance(each, Group)]

    def _model(self, key: Key) -> Checkpoint | str:
        if key not in self._models:
            assert self._store is not None
            try:
                known = self._keys[str(key)]
                self._models[key] = find_in(self._store, known, self._time, moments=self._moments)
            except KeyError:
                self._models[key] = f"there is no model of key {key!r}"
            except ValueError as error:
                self._models[key] = str(error)
        return self._models[key]
