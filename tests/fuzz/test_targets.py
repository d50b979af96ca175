"""What fuzzing starts from is read, and what it has found is refused: without atheris too."""

from pathlib import Path

import pytest
from children import within
from fuzz.targets import TARGETS, seeds

FOUND = sorted((Path(__file__).parent / "found").glob("*-*"))


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_what_the_target_reads(target):
    for seed in seeds(target):
        TARGETS[target](seed)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_fuzzing_found_is_refused_in_bounded_time_and_memory(path):
    target = TARGETS[path.name.split("-")[0].replace("_", " ")]
    data = path.read_bytes()
    within(lambda: target(data), memory=512 * 2**20, seconds=20)


@pytest.mark.parametrize("target", TARGETS)
def test_small_changes_of_seeds_are_read_or_refused(target):
    """The first steps that a fuzzer takes: a byte changed, cut, doubled, at each of many places."""
    for seed in seeds(target)[::3]:
        step = max(1, len(seed) // 60)
        for at in range(0, len(seed), step):
            for changed in (
                seed[:at] + bytes([seed[at] ^ 0x80]) + seed[at + 1 :],
                seed[:at] + b"\xff\xff\xff\x7f" + seed[at + 4 :],
                seed[:at] + seed[at + 1 :],
                seed[:at] + seed[at : at + 8] + seed[at:],
            ):
                TARGETS[target](changed)
