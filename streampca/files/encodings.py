"""In which encoding text is written, by its first bytes; from then on it is UTF-8."""

from __future__ import annotations

import codecs

from streampca.files.streams import Stream, transcoded

SAMPLE = 1 << 18
"""Bytes of a file from which its dialect is detected."""

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def as_utf8(stream: Stream, encoding: str | None, name: str) -> tuple[Stream, str | None]:
    """The text in UTF-8, and the encoding where that is something to be said.

    Raises
    ------
    ValueError
        If it is no text.
    """
    found = encoding or encoding_of(stream.ahead() if stream.is_live else stream.head(SAMPLE), name)
    if codecs.lookup(found).name in ("utf-8", "utf-8-sig", "ascii") and found != "ascii":
        return stream, None
    return transcoded(stream, found), None if encoding else found


def encoding_of(sample: bytes, name: str) -> str:
    """The encoding of a text by its first bytes.

    Raises
    ------
    ValueError
        If they are no text.

    Examples
    --------
    >>> encoding_of("°C;1".encode("latin-1"), "a.csv"), encoding_of("a".encode("utf-16"), "a.csv")
    ('latin-1', 'utf-16')
    """
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            return encoding
    half = len(sample) // 2
    if half and sample[1::2].count(0) > 0.4 * half and sample[::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if half and sample[::2].count(0) > 0.4 * half and sample[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        decoded = True
    except UnicodeDecodeError:
        decoded = False
    controls = sum(map(sample.count, (bytes([i]) for i in (*range(9), *range(14, 32)))))
    if controls > 0.001 * len(sample):
        raise ValueError(f"{name}: is no text, or in an encoding that is to be told by --encoding")
    if decoded:
        return "utf-8"
    return "cp1252" if any(0x80 <= byte < 0xA0 for byte in sample) else "latin-1"
