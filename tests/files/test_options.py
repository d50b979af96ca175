"""One table of options: in every help text, on the page, in YAML's schema; a mistake is named."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from beam_pipelines import run
from beam_pipelines.run import arguments
from streampca.cli.commands import app
from streampca.files import options, read

PAGE = Path(__file__).parents[2] / "docs/files.md"
NAMES = [option.name for option in options.TABLE]


def plain(text):
    """Help without the lines and blanks of its table."""
    return "".join(text.replace("│", " ").split())


def test_the_table_has_the_options_that_every_face_takes():
    assert set(NAMES) >= {
        "delimiter", "decimal", "encoding", "skip_rows", "na", "timestamp_format",
        "timestamp_unit", "timezone", "columns", "exclude", "key_column", "missing", "half_life",
        "memory", "bad_rows", "input_format",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["fit", "transform", "score"])
def test_commands_have_them_with_the_words_of_the_table(command):
    said = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
    for option in options.TABLE if command == "fit" else options.READING:
        assert option.flag in said
        assert plain(option.help) in plain(said)


def test_the_beam_job_has_them_and_its_alias(capsys):
    with pytest.raises(SystemExit, match="0"):
        run.main(["--help"])
    said = capsys.readouterr().out
    for option in options.TABLE:
        assert option.flag in said
        assert plain(option.help) in plain(said)
    assert "--features" in said


def test_the_page_has_the_table():
    assert options.markdown() in PAGE.read_text()


BAD = {
    "delimiter": ["", "ab", '"', "\n"],
    "decimal": ["x"],
    "encoding": ["latin-99", "utf-8000", "base64"],
    "skip_rows": ["-1", "x", "1.5"],
    "na": [","],
    "timestamp_format": ["noon"],
    "timestamp_unit": ["h"],
    "timezone": ["Europe/Berlim", "nowhere"],
    "columns": [",", ""],
    "half_life": ["soon", "-1", "0"],
    "missing": ["yes"],
    "input_format": ["xml"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in BAD.items() for v in vs])
def test_a_value_that_is_not_accepted_is_named_by_every_face(tmp_path, capsys, name, value):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    path, flag = str(tmp_path / "a.csv"), options.flag(name)
    with pytest.raises(ValueError, match=name):
        read(path, **{name: value})
    said = CliRunner().invoke(app, ["fit", path, f"{flag}={value}"])
    assert (said.exit_code, flag in said.stderr) == (2, True)
    given = ["--input", path, "--window", "global", "--n-components", "1", "--output", "x"]
    assert run.main([*given, f"{flag}={value}"]) == 2
    assert flag in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("--exlude", "--exclude"),
        ("--key-colum", "--key-column"),
        ("--half-lif", "--half-life"),
        ("--mising", "--missing"),
        ("--decimals", "--decimal"),
    ],
)
def test_a_mistyped_option_ends_every_face_and_names_the_nearest(capsys, wrong, right):
    said = CliRunner().invoke(app, ["fit", "a.csv", wrong, "x"])
    assert said.exit_code == 2
    assert right in said.stderr
    assert run.main(["--input", "a.csv", wrong, "x"]) == 2
    assert f"there is no option {wrong}: did you mean {right}?" in capsys.readouterr().err
    with pytest.raises(ValueError, match=right[2:].replace("-", "_")):
        read("a.csv", **{wrong[2:].replace("-", "_"): "x"})


def test_mistyped_options_of_the_job_itself_are_found_too(capsys):
    for wrong, right in (("--windw=1h", "--window"), ("--runer=X", "--runner")):
        assert run.main(["--input", "a.csv", wrong]) == 2
        assert f"did you mean {right}?" in capsys.readouterr().err
    arguments.refuse_unknown(
        ["--runner=FlinkRunner", "--flink_conf_dir=x", "--direct_num_workers=2"]
    )


def test_what_is_found_out_is_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("t;öl\n1700000000000;1,5\n1700000001000;2,5\n".encode("latin-1"))
    said = []
    list(read(path, timestamp_column="t", say=said.append))
    assert said == [
        f"{path}: read as latin-1",
        f"{path}: read as ';'-separated, decimal comma",
        f"{path}: column 't' is read as numbers as ms since 1970",
    ]
    command = ["fit", str(path), "--timestamp-column", "t", "-n", "1"]
    assert CliRunner().invoke(app, command).stderr.splitlines() == said
    quiet = CliRunner().invoke(app, [*command, "--quiet", "--json"])
    assert quiet.stderr == ""
    assert json.loads(quiet.stdout)["n_rows"] == 2


def test_half_life_and_gaps_reach_the_beam_job(tmp_path):
    from streampca import CheckpointStore

    lines = [f"{t},{t % 7},{t % 5 or ''},x\n" for t in range(200)]
    (tmp_path / "a.csv").write_text("time,oil,air,note\n" + "".join(lines))
    given = ["--input", str(tmp_path / "a.csv"), "--timestamp-column", "time", "--exclude", "note"]
    given += ["--window", "50s", "--n-components", "1", "--output", str(tmp_path / "store")]
    assert run.main([*given, "--missing", "impute", "--half-life", "50s"]) == 0
    latest = CheckpointStore(tmp_path / "store").latest()
    assert latest.settings["missing"] == "impute"
    assert latest.feature_names == ("oil", "air")
    assert latest.n_samples_seen == 200
    assert abs(latest.weight - 93.75) < 1e-6  # 50 (1 + 1/2 + 1/4 + 1/8)
