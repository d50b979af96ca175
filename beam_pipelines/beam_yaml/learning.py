"""LearnComponents and LearnFromFiles for Beam YAML: checkpoints as plain rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import apache_beam as beam
from apache_beam.typehints.schemas import named_fields_from_element_type

from beam_pipelines import transforms
from beam_pipelines.beam_yaml.options import takes, whole
from beam_pipelines.beam_yaml.rows import BadYamlRow, CheckpointRow, as_bad, as_row, fields_of
from beam_pipelines.run import begin, end, job_of, job_options
from beam_pipelines.run import learned as learned_by
from beam_pipelines.sources import TOPICS
from beam_pipelines.stores import WriteCheckpoints, absolute
from streampca.files import options

_ROWS = tuple(
    option
    for option in options.TABLE
    if option.name
    in ("columns", "exclude", "key_column", "missing", "half_life", "memory", "scale")
)
"""Options that concern rows; the others concern files."""


@takes(*_ROWS, *job_options.NUMBERS, *job_options.CHOICES)
class LearnComponents(beam.PTransform):
    """Ordered principal components of the rows so far, at the end of every window.

    `features` is another name of `columns`, and `key` of `key_column`; a `half_life` that is a bare
    number is in seconds here.

    Args:
      n_components: How many, or the share of variance to explain, such as 0.95, or parallel.
      store: Folder or URI where the checkpoints are written as files, too.
      carry: True for the running model, false for each window's own.
      early_every: Seconds after which an open window is reported.
      idle_timeout: Seconds of event time after which a silent key is forgotten.
      resume_from: A store of checkpoints to go on from.
      rerun: True where the job that wrote resume_from was killed, and this is the same one again.
      options: Other parameters of StreamingPCA by name.
      error_handling: Name of an output for rows that cannot be used, as {"output": name}.
    """

    def __init__(
        self,
        n_components: Any = None,
        store: Optional[str] = None,  # noqa: UP045
        carry: bool = True,
        early_every: Optional[float] = None,  # noqa: UP045
        idle_timeout: Optional[float] = None,  # noqa: UP045
        resume_from: Optional[str] = None,  # noqa: UP045
        rerun: bool = False,
        options: Optional[Mapping[str, Any]] = None,  # noqa: UP045
        error_handling: Optional[Mapping[str, str]] = None,  # noqa: UP045
        *,
        asked: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._columns = asked.get("columns")
        self._exclude = asked.get("exclude", [])
        self._key = asked.get("key_column")
        self._store = None if store is None else absolute(store)
        self._bad_rows = _output_of(error_handling)
        self._parameters = {
            "n_components": whole(n_components),
            "carry": carry,
            "early_every": early_every,
            "idle_timeout": idle_timeout,
            "resume_from": resume_from,
            "rerun": rerun,
            "bad_rows": self._bad_rows is not None,
        }
        if not isinstance(options or {}, Mapping):
            raise ValueError(f"options={options!r} is not accepted: give names and values")
        more = [
            {name: asked[name] for name in ("missing", "memory", "scale") if name in asked},
            {each.name: asked[each.name] for each in job_options.TABLE if each.name in asked},
            _half_life(asked.get("half_life")),
            dict(options or {}),
        ]
        for given in more:
            _refuse_twice(self._parameters, given)
            self._parameters |= given
        if self._columns is not None:
            self._learn_of(self._columns)  # to be told now what does not fit

    def _learn_of(self, features: list[str]) -> Any:
        return transforms.LearnComponents(features=features, **self._parameters)

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        features = self._features(rows)
        learned = (
            rows
            | "Fields" >> beam.Map(fields_of, self._key, features)
            | "Learn" >> self._learn_of(features)
        )
        if self._bad_rows is None:
            return _outputs(learned, None, self._store, None)
        return _outputs(learned.checkpoints, learned.bad_rows, self._store, self._bad_rows)

    def _features(self, rows: Any) -> list[str]:
        """The features, checked against the fields of the rows where these are known."""
        try:
            fields = [name for name, _ in named_fields_from_element_type(rows.element_type)]
        except (TypeError, ValueError):
            fields = []
        named = [name for name in (self._key,) if name is not None]
        for name in [*named, *(self._columns or []), *self._exclude] if fields else ():
            if name not in fields:
                hint = options.nearest(name, fields)
                raise ValueError(
                    f"the rows have no field {name!r}; they have {', '.join(fields)}"
                    + (f"; did you mean {hint!r}?" if hint else "")
                )
        chosen = self._columns or [name for name in fields if name not in named]
        chosen = [name for name in chosen if name not in self._exclude]
        if not chosen:
            raise ValueError("columns is needed: the fields to learn from")
        return chosen


@takes(*options.TABLE, *job_options.TABLE, *job_options.WATCH)
class LearnFromFiles(beam.PTransform):
    """Ordered principal components of files of rows, at the end of every window.

    `features` is another name of `columns`, and `key` of `key_column`.

    Args:
      files: Files, patterns or URIs.
      window: As for the Beam job: 1h, sliding:1h,10m, session:10m or global.
      n_components: How many, or the share of variance to explain, such as 0.95, or parallel.
      store: Folder or URI where the checkpoints are written as files, too.
      carry: True for the running model, false for each window's own.
      center: False does not take the mean away.
      whiten: True for coordinates of variance 1.
      resume: True where this very job was killed, to go on from the checkpoints in its store.
      error_handling: Name of an output for rows that cannot be used, as {"output": name}.
    """

    _yaml_requires_inputs = False

    def __init__(
        self,
        files: Sequence[str],
        window: str = "global",
        n_components: Any = None,
        store: Optional[str] = None,  # noqa: UP045
        carry: bool = True,
        center: bool = True,
        whiten: bool = False,
        resume: bool = False,
        error_handling: Optional[Mapping[str, str]] = None,  # noqa: UP045
        *,
        asked: Mapping[str, Any],
    ) -> None:
        super().__init__()
        names = [files] if isinstance(files, str) else list(files)
        topic = next((name for name in names if name.startswith(TOPICS)), None)
        if topic is not None:
            raise ValueError(
                f"{topic}: in YAML topics are read by Beam's ReadFromKafka and ReadFromPubSub; put "
                "LearnComponents behind them"
            )
        self._store = None if store is None else absolute(store)
        self._bad_rows = _output_of(error_handling)
        if resume and store is None:
            raise ValueError("resume needs store: where the job that was killed has written")
        if asked.get("bad_rows", "fail") not in ("fail", "skip"):
            raise ValueError("bad_rows: give fail or skip, or name an output by error_handling")
        files_of, more = job_options.parted(asked)
        more |= ({} if center else {"center": False}) | ({"whiten": True} if whiten else {})
        job = job_of(
            names, window, whole(n_components), self._store, files_of, carry=carry, more=more
        )
        self._job = job._replace(resume=resume)

    def expand(self, start: Any) -> Any:
        """Build the steps."""
        apart = self._bad_rows is not None or self._job.skip
        if self._store is not None and self._job.record is not None:
            begin(self._job.record, self._store, self._job.resume)
            if self._job.watching is not None and self._job.watching.total is not None:
                end(self._job.record, self._store)  # nothing here sees when it has ended
        found = learned_by(start.pipeline, self._job, bad_rows=apart)
        return _outputs(found.checkpoints, found.bad_rows, self._store, self._bad_rows)


def _outputs(checkpoints: Any, bad: Any, store: str | None, bad_rows: str | None) -> Any:
    if store is not None:
        _ = checkpoints | "Write" >> WriteCheckpoints(store)
    found = checkpoints | "AsRows" >> beam.Map(as_row).with_output_types(CheckpointRow)
    if bad_rows is None:
        return found
    shown = bad | "BadAsRows" >> beam.Map(as_bad).with_output_types(BadYamlRow)
    return {"output": found, bad_rows: shown}


def _output_of(error_handling: Mapping[str, str] | None) -> str | None:
    if error_handling is None:
        return None
    if isinstance(error_handling, Mapping):
        options.refuse_unknown(error_handling, ["output"])
        name = error_handling.get("output")
        # the checkpoints are "output", and bad rows of that name would be in their place
        if isinstance(name, str) and name not in ("", "output"):
            return name
    raise ValueError(
        f"error_handling={error_handling!r} is not accepted: name the output of bad rows, as "
        "{output: bad_rows}; that of the checkpoints is output"
    )


def _refuse_twice(before: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for name in given.keys() & before.keys():
        raise ValueError(f"{name} is given twice, as an option and otherwise: give it once")


def _half_life(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, (int, float)):
        return {"half_life": value}
    return job_options.forgetting(value)
