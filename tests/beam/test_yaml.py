"""A pipeline that is a YAML file, with streampca as its provider."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import yaml
from beam_yaml_files import chain, run
from reruns import content, write
from streams import assert_equals_batch, stream

import beam_pipelines
from beam_pipelines import beam_yaml
from beam_pipelines.beam_yaml import LearnComponents, LearnFromFiles
from streampca import CheckpointStore

NAMES = ["oil", "air", "water"]

PIPELINE = chain(
    """\
    - type: LearnComponents
      windowing:
        type: fixed
        size: 50s
      config:
        features: [oil, air, water]
        n_components: 2
        key: press
        store: {folder}/store
""",
    "key + ': ' + str(n_samples_seen) + ' of ' + str(len(components[0]))",
    LearnComponents="beam_pipelines.beam_yaml.LearnComponents",
)


def test_components_are_learned_by_a_yaml_file(tmp_path):
    X, times = stream(100, 3)
    rows = [
        {"press": f"press {i % 2}", "second": int(t), **dict(zip(NAMES, x, strict=True))}
        for i, (x, t) in enumerate(zip(X, times, strict=True))
    ]
    run(PIPELINE.format(folder=tmp_path, rows=json.dumps(rows)))
    store = CheckpointStore(tmp_path / "store")
    assert store.keys() == ["press 0", "press 1"]
    for i in range(2):
        first, last = store.history(f"press {i}")
        assert last.feature_names == ("oil", "air", "water")
        assert_equals_batch(first, X[i:50:2])
        assert_equals_batch(last, X[i::2])
    lines = "".join(path.read_text() for path in tmp_path.glob("found*")).splitlines()
    wanted = [f"press {i}: {rows} of 3" for i in range(2) for rows in (25, 50)]
    assert sorted(lines) == wanted


def test_the_provider_that_ships_is_included_by_its_path(tmp_path):
    """It names all transforms that Beam YAML can have, and they are there."""
    (shipped,) = (Path(folder) / "provider.yaml" for folder in beam_pipelines.__path__)
    transforms = yaml.safe_load(shipped.read_text())[0]["transforms"]
    files = [
        importlib.import_module(f"{beam_yaml.__name__}.{found.name}")
        for found in pkgutil.iter_modules(beam_yaml.__path__)
    ]
    public = {
        name: f"{beam_yaml.__name__}.{name}"
        for file in files
        for name, value in vars(file).items()
        if isinstance(value, type)
        and issubclass(value, beam.PTransform)
        and value.__module__ == file.__name__
    }
    assert len(files) > 3
    assert transforms == public
    X, times = stream(100, 3)
    rows = [
        {"press": "a", "second": int(t), **dict(zip(NAMES, x, strict=True))}
        for x, t in zip(X, times, strict=True)
    ]
    text = PIPELINE.format(folder=tmp_path, rows=json.dumps(rows))
    run(text[: text.index("providers:")] + f"providers:\n  - include: {shipped}\n")
    assert_equals_batch(CheckpointStore(tmp_path / "store").latest("a"), X)


def test_a_yaml_file_is_run_as_beam_runs_it(tmp_path):
    """By the command that docs/beam.md gives, in a process of its own, with all options."""
    X, times = stream(100, 3)
    rows = [
        {"second": int(t), **dict(zip(NAMES, x, strict=True))}
        for x, t in zip(X, times, strict=True)
    ]
    text = PIPELINE.format(folder=tmp_path, rows=json.dumps(rows)).replace("key: press", OPTIONS)
    text = text.replace("key + ': ' + ", "")
    (tmp_path / "components.yaml").write_text(text)
    command = [sys.executable, "-m", "apache_beam.yaml.main", "--runner=FnApiRunner"]
    command.append(f"--yaml_pipeline_file={tmp_path / 'components.yaml'}")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    first, last = CheckpointStore(tmp_path / "store").history()
    np.testing.assert_allclose([first.weight, last.weight], [50, 75])
    assert last.settings["whiten"] is True
    assert_equals_batch(first, X[:50])
    lines = "".join(path.read_text() for path in tmp_path.glob("found*")).splitlines()
    assert sorted(lines) == ["100 of 3", "50 of 3"]


OPTIONS = """half_life: 50
        carry: true
        idle_timeout: 1000
        early_every: 10
        options: {whiten: true, memory: dense, hot_key_shards: 2}"""

BAD = """
pipeline:
  transforms:
    - type: Create
      name: Rows
      config:
        elements:
          - {{oil: 1.0, air: 2.0}}
          - {{oil: 2.0, air: 5.0}}
          - {{oil: 3.0, air: null}}
    - type: LearnComponents
      input: Rows
      config:
        features: [oil, air]
        options: {{dtype: float32}}
        store: {folder}/store
        error_handling:
          output: broken
    - type: MapToFields
      input: LearnComponents.broken
      config:
        fields:
          line: reason
    - type: WriteToText
      input: MapToFields
      config:
        path: {folder}/broken
providers:
  - type: python
    config: {{}}
    transforms:
      LearnComponents: beam_pipelines.beam_yaml.LearnComponents
"""


def test_bad_rows_are_an_output_of_their_own(tmp_path):
    run(BAD.format(folder=tmp_path))
    found = CheckpointStore(tmp_path / "store").latest()
    assert found.n_samples_seen == 2
    assert found.components.shape == (2, 2)
    assert "'air' is None" in "".join(p.read_text() for p in tmp_path.glob("broken*"))


FILES = """
pipeline:
  transforms:
    - type: LearnFromFiles
      name: Learn
      config:
        files: ['{folder}/*.csv']
        timestamp_column: second
        key_column: press
        window: 50s
        n_components: 2
        store: {folder}/store
        exclude: [note]
        na: ['-']
        error_handling: {{output: broken}}
    - type: MapToFields
      input: Learn.broken
      config:
        fields: {{line: reason}}
    - type: WriteToText
      input: MapToFields
      config: {{path: {folder}/broken}}
providers:
  - type: python
    config: {{}}
    transforms:
      LearnFromFiles: beam_pipelines.beam_yaml.LearnFromFiles
"""


def test_files_are_learned_from_by_a_yaml_file_with_the_options_of_every_face(tmp_path):
    X, times = stream(100, 3)
    lines = ["second;press;oil;air;water;note\n"]
    for i, (x, t) in enumerate(zip(X, times, strict=True)):
        cells = ";".join(repr(float(value)).replace(".", ",") for value in x)
        lines.append(f"{int(t)};{i % 2};{cells};x\n")
    lines.insert(50, "1;0;1,5;-;2,5;x\n")
    (tmp_path / "a.csv").write_text("".join(lines))
    run(FILES.format(folder=tmp_path))
    store = CheckpointStore(tmp_path / "store")
    assert store.keys() == ["0", "1"]
    for i in range(2):
        assert_equals_batch(store.latest(str(i)), X[i::2])
    said = "".join(path.read_text() for path in tmp_path.glob("broken*"))
    assert "a.csv, row 49 (line 51): feature 'air' is missing" in said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("key: press", "kye: press", "there is no option kye: did you mean key?"),
        ("key: press", "key: pres", "no field 'pres'.*did you mean 'press'"),
        ("features:", "feature:", "did you mean features"),
        ("[oil, air, water]", "[oil, air, watr]", "no field 'watr'.*did you mean 'water'"),
        ("n_components: 2", "n_component: 2", "did you mean n_components"),
    ],
)
def test_a_mistyped_name_ends_the_program_and_the_nearest_is_named(tmp_path, old, new, message):
    rows = [{"press": "a", "second": 1, "oil": 1.0, "air": 2.0, "water": 3.0}]
    text = PIPELINE.format(folder=tmp_path, rows=json.dumps(rows)).replace(old, new)
    with pytest.raises(Exception, match=message):
        run(text)


def test_the_schema_of_yaml_is_made_from_the_table():
    from apache_beam.yaml.yaml_provider import InlineProvider

    from streampca.files import options

    provider = InlineProvider({"rows": LearnComponents, "files": LearnFromFiles})
    fields = {field.name: field.description for field in provider.config_schema("files").fields}
    for option in options.TABLE:
        assert fields[option.name] == option.help
    rows = {field.name for field in provider.config_schema("rows").fields}
    assert {"columns", "features", "key_column", "key", "exclude", "missing", "half_life"} <= rows


def learn_files(folder, store, **more):
    asked = {"timestamp_column": "time", "key": "press", "window": "20m", "n_components": 2}
    with beam.Pipeline("FnApiRunner") as p:
        _ = p | LearnFromFiles(
            files=[f"{folder}/rows*.parquet"],
            store=store,
            **(asked | {"idle_timeout": "1h", "dtype": "float32"} | more),
        )


def test_a_job_that_was_killed_is_resumed_as_by_the_main_job(tmp_path, monkeypatch):
    write(tmp_path, m=200)
    monkeypatch.chdir(tmp_path)
    learn_files(tmp_path, "store")  # of this folder, wherever workers are
    expected = content(tmp_path / "store")
    for folder in (tmp_path / "store").glob("s-*"):
        for path in sorted(folder.glob("*.parquet"))[3:]:
            path.unlink()
    learn_files(tmp_path, "store", resume=True)
    assert content(tmp_path / "store") == expected
    for other in ({"window": "10m"}, {"whiten": True}, {"idle_timeout": 7200}, {"solver": "exact"}):
        with pytest.raises(ValueError, match="this is not the job that wrote"):
            learn_files(tmp_path, "store", resume=True, **other)
    assert content(tmp_path / "store") == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"idle_timeout": "2 weeks"}, "idle_timeout 2 weeks: give a time such as"),
        ({"solver": "exac"}, "solver exac: give one of exact, first_order"),
        ({"hot_key_shard": 2}, "no option hot_key_shard: did you mean hot_key_shards?"),
        ({"input": 2}, "no option input; there are files, window"),
        ({"batch_size": "many"}, "batch_size many: give a whole number"),
        ({"store": None, "resume": True}, "resume needs store"),
        ({"half_life": "1h", "forgetting_factor": 0.9}, "give one of them"),
    ],
)
def test_options_of_the_job_are_checked(tmp_path, given, message):
    write(tmp_path, m=20)
    with pytest.raises(ValueError, match=re.escape(message)):
        learn_files(tmp_path, **({"store": str(tmp_path / "store")} | given))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("make", [LearnComponents, LearnFromFiles])
@pytest.mark.parametrize(
    "given", [{"output": "output"}, {"output": ""}, {"output": None}, {"output": 3}, {}, "bad"]
)
def test_bad_rows_are_never_an_output_in_the_place_of_another(tmp_path, make, given):
    """Those named `output` were in the place of the checkpoints, which were lost."""
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,2\n")
    options = {"files": str(file)} if make is LearnFromFiles else {"columns": ["a", "b"]}
    with pytest.raises(ValueError, match="error_handling=.* is not accepted"):
        make(error_handling=given, **options)
    assert make(error_handling={"output": "bad"}, **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"store": ""}, "'' is no path"),
        ({"store": 5}, "5 is no path"),
        ({"resume_from": ""}, "'' is no path"),
        ({"options": [1]}, r"options=\[1\] is not accepted"),
        ({"features": ["a"]}, "(columns and features|features and columns) are the same"),
        ({"whiten": True}, "there are n_components, store"),
    ],
)
def test_values_of_other_kinds_are_refused_in_words(given, message):
    with pytest.raises(ValueError, match=message):
        LearnComponents(columns=["a", "b"], **given)


def test_an_option_of_rows_is_given_once():
    with pytest.raises(ValueError, match="dtype is given twice"):
        LearnComponents(columns=["a", "b"], dtype="float32", options={"dtype": "float64"})
    with pytest.raises(ValueError, match="rerun=True needs resume_from"):
        LearnComponents(columns=["a", "b"], rerun=True)


def test_the_shipped_provider_knows_the_detector_and_the_alarms():
    """In a process that imports nothing of ours but what the provider names."""
    shipped = Path(beam_pipelines.__path__[0]) / "provider.yaml"
    code = f"""
import apache_beam as beam
from apache_beam.testing.util import assert_that
from apache_beam.yaml.yaml_provider import load_providers
from apache_beam.yaml.yaml_provider import merge_providers, standard_providers
from apache_beam.yaml.yaml_transform import YamlTransform

with beam.Pipeline("FnApiRunner") as pipeline:
    rows = [("press 4", beam.Row(oil=float(i % 7), air=2.0 * (i % 7))) for i in range(60)]
    found = pipeline | beam.Create(rows, reshuffle=False) | YamlTransform(
        '''
        type: AnomalyDetection
        config:
          detector:
            type: PCAReconstruction
            config: {{n_components: 1, statistic: spe}}
        ''',
        providers=merge_providers(load_providers({str(shipped)!r}), standard_providers()),
    )
    found | beam.Map(lambda keyed: print(keyed[1].predictions[0].score))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    scores = [float(line) for line in done.stdout.split()]
    assert len(scores) == 60
    assert np.isfinite(scores).sum() >= 50
    transforms = yaml.safe_load(shipped.read_text())[0]["transforms"]
    assert set(transforms) == {"LearnComponents", "LearnFromFiles", "Score", "Alarms"}
