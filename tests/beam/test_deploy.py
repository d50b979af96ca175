"""The page on deployment says what is so: options accepted and refused, the template."""

import json
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from reruns import write

from beam_pipelines import run, template

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/deploy.md").read_text()

OPTIONS = {
    "--half-life": ["--half-life", "1h"],
    "--half-life ROWS": ["--half-life", "100"],
    "--forgetting-factor": ["--forgetting-factor", "0.9"],
    "--allowed-lateness": ["--allowed-lateness", "1h"],
    "--early-every": ["--early-every", "10s"],
    "--idle-timeout": ["--idle-timeout", "2h"],
    "--hot-key-shards": ["--hot-key-shards", "4"],
    "--solver": ["--solver", "first_order"],
    "--missing": ["--missing", "impute"],
    "--memory": ["--memory", "factored"],
    "--oversample": ["--oversample", "2"],
    "--batch-size": ["--batch-size", "64"],
    "--dtype": ["--dtype", "float32"],
    "--whiten": ["--whiten"],
    "--no-center": ["--no-center"],
    "--random-state": ["--random-state", "5"],
    "--no-carry": ["--no-carry"],
    "--bad-rows": ["--bad-rows", "bad.jsonl"],
    "--device": ["--device", "cpu"],
}
WAYS = {
    "bounded": [],
    "streaming": ["--streaming"],
    "resumed": ["--resume"],
    "resumed, streaming": ["--resume", "--streaming"],
    "no carry": ["--no-carry"],
    "sessions": ["--window", "session:1m"],
    "global": ["--window", "global"],
    "sliding": ["--window", "sliding:1h,10m"],
    "in order": ["--missing", "impute"],
}
REFUSED = {
    *((option, "resumed, streaming") for option in OPTIONS),
    *((option, "no carry") for option in OPTIONS if option.startswith(("--half", "--forg"))),
    ("--solver", "no carry"),
    ("--missing", "no carry"),
    ("--no-carry", "in order"),
    ("--half-life", "global"),
    ("--early-every", "sessions"),
    ("--hot-key-shards", "sessions"),
    ("--hot-key-shards", "in order"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_accepted_or_refused_where_the_page_says(tmp_path, monkeypatch, option, way):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, m=30)
    given = ["--input", "rows*.parquet", "--timestamp-column", "time", "--key-column", "press"]
    given += ["--n-components", "2", "--output", "store", "--window", "1h"]
    given += [*OPTIONS[option], *WAYS[way]]

    def built():
        job = run.read_arguments(given)
        run.build(beam.Pipeline(options=PipelineOptions(job.beam_options)), job)

    if (option, way) in REFUSED:
        with pytest.raises(ValueError, match=r".+"):
            built()
    else:
        built()


def test_the_page_names_every_option_of_the_job():
    assert all(f"{option.split()[0]}" in PAGE for option in OPTIONS)


def test_the_template_has_the_parameters_that_the_job_has():
    written = json.loads((ROOT / "docs/deploy/run-metadata.json").read_text())
    assert written == template.metadata(), "python -m beam_pipelines.template > (this file)"


def test_a_launcher_may_write_switches_with_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, m=30)
    given = ["--input=rows0.parquet", "--timestamp-column=time", "--n-components=2", "--window=1h"]
    given += ["--output=store", "--key-column=press"]
    assert not run.read_arguments([*given, "--no-carry=true", "--resume=false"]).carry
    assert run.read_arguments([*given, "--no-carry=false"]).carry
