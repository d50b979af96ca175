"""Beam's elements become rows, and rows become bytes."""

from beam_pipelines.rows.block import Block
from beam_pipelines.rows.blocks import GatherBlocks, ReadBlocks
from beam_pipelines.rows.coders import BlockCoder, Names, moments_from_bytes, moments_to_bytes
from beam_pipelines.rows.elements import (
    BAD_ROWS,
    BadRow,
    RowReader,
    key_text,
    keyed,
    without_shard,
)

__all__ = [
    "BAD_ROWS",
    "BadRow",
    "Block",
    "BlockCoder",
    "GatherBlocks",
    "Names",
    "ReadBlocks",
    "RowReader",
    "key_text",
    "keyed",
    "moments_from_bytes",
    "moments_to_bytes",
    "without_shard",
]
