"""The page on deployment says what is so: options accepted and refused, the template."""

import json
from pathlib import Path

import apache_beam as beam
import engines
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from reruns import write

from beam_pipelines import run
from beam_pipelines.run import job_options, template
from streampca.files import options as files_options

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
    "--scale": ["--scale"],
    "--device": ["--device", "cpu"],
    "--moments": ["--moments", "last"],
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
def test_an_option_is_accepted_or_refused_where_the_page_says(
    tmp_path, monkeypatch, capsys, option, way
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, m=30)
    given = ["--input", "rows*.parquet", "--timestamp-column", "time", "--key-column", "press"]
    given += ["--n-components", "2", "--output", "store", "--window", "1h"]
    given += [*OPTIONS[option], *WAYS[way]]

    def built():
        job = run.read_arguments(given)
        run.build(beam.Pipeline(options=PipelineOptions(job.beam_options)), job)

    if (option, way) in REFUSED:
        assert run.main(given) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
        assert not (tmp_path / "store").exists()
    else:
        built()


COLUMNS = {
    "bounded": "bounded",
    "streaming": "`--streaming`",
    "resumed": "`--resume`",
    "resumed, streaming": "both",
    "no carry": "`--no-carry`",
    "sessions": "sessions",
    "global": "global",
    "sliding": "sliding",
    "in order": "`--missing impute`",
}


def table():
    """The table of the page: what the test above has tried."""
    lines = ["| option | " + " | ".join(COLUMNS[way] for way in WAYS) + " |"]
    lines.append("|---" * (len(WAYS) + 1) + "|")
    for option in OPTIONS:
        cells = ["no" if (option, way) in REFUSED else "yes" for way in WAYS]
        lines.append(f"| `{option}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_table_of_the_page_is_what_was_tried():
    assert table() in PAGE


def test_every_option_of_the_job_is_in_the_table():
    """Those of files apart, which docs/files.md has."""
    shown = {option.split()[0] for option in OPTIONS}
    switches = {"--" + name.replace("_", "-") for name in job_options.SWITCHES}
    learning = {option.flag for option in files_options.LEARNING}
    every = {option.flag for option in job_options.TABLE} | switches | learning
    assert every - shown == {"--resume"}  # a column


def test_the_template_has_the_parameters_that_the_job_has():
    written = json.loads((ROOT / "docs/deploy/run-metadata.json").read_text())
    assert written == template.metadata(), "python -m beam_pipelines.run.template > (this file)"


def test_a_launcher_may_write_switches_with_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, m=30)
    given = ["--input=rows0.parquet", "--timestamp-column=time", "--n-components=2", "--window=1h"]
    given += ["--output=store", "--key-column=press"]
    assert not run.read_arguments([*given, "--no-carry=true", "--resume=false"]).carry
    assert run.read_arguments([*given, "--no-carry=false"]).carry
    assert run.read_arguments([*given, "--scale=true"]).parameters["scale"] is True
    assert not run.read_arguments([*given, "--scale=false"]).parameters.get("scale")


def test_what_runners_lack_is_on_the_page_about_beam():
    assert engines.table() in (ROOT / "docs/beam.md").read_text()
