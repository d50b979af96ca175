"""Tests of others that cannot pass, and why: strict, so that one that begins to pass is noticed.

A name without brackets stands for all parameters of the test, one with them for that case.
"""

EXCUSED: dict[str, dict[str, str]] = {}
