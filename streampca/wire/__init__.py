"""Arrays as sealed, versioned bytes; knows nothing of what the arrays mean."""

from streampca.wire.arrays import Wire, WireError, decode, encode, numbers
from streampca.wire.sealed import (
    SCHEMA_VERSION,
    UNREADABLE,
    VERSION_KEY,
    check_version,
    seal,
    unseal,
)

__all__ = [
    "SCHEMA_VERSION",
    "UNREADABLE",
    "VERSION_KEY",
    "Wire",
    "WireError",
    "check_version",
    "decode",
    "encode",
    "numbers",
    "seal",
    "unseal",
]
