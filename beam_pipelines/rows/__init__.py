"""Beam's elements become rows, and rows become bytes; windows, which say what is added up."""

from beam_pipelines.rows.block import BLOCKS, MAGIC, Block
from beam_pipelines.rows.blocks import GatherBlocks, ReadBlocks, TimedBlocks
from beam_pipelines.rows.coders import (
    BlockCoder,
    Names,
    is_moments,
    moments_from_bytes,
    moments_from_wire,
    moments_to_bytes,
    n_samples_of,
    names_of,
)
from beam_pipelines.rows.elements import (
    BAD_ROWS,
    BadRow,
    RowReader,
    key_text,
    keyed,
    without_shard,
)
from beam_pipelines.rows.places import Place, PlacedSum
from beam_pipelines.rows.windows import (
    LAST_OF_ALL,
    Span,
    also_at_the_end,
    at_the_end,
    covering,
    early_trigger,
    is_foreign,
    parse,
    slots,
)

__all__ = [
    "BAD_ROWS",
    "BLOCKS",
    "LAST_OF_ALL",
    "MAGIC",
    "BadRow",
    "Block",
    "BlockCoder",
    "GatherBlocks",
    "Names",
    "Place",
    "PlacedSum",
    "ReadBlocks",
    "RowReader",
    "Span",
    "TimedBlocks",
    "also_at_the_end",
    "at_the_end",
    "covering",
    "early_trigger",
    "is_foreign",
    "is_moments",
    "key_text",
    "keyed",
    "moments_from_bytes",
    "moments_from_wire",
    "moments_to_bytes",
    "n_samples_of",
    "names_of",
    "parse",
    "slots",
    "without_shard",
]
