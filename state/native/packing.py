"""How texts are handed to the library, as `input.rs` reads them."""

import struct
from typing import Final

_SIZE: Final = struct.Struct("<I")


def packed_text(text: str) -> bytes:
    """A text after its size."""
    return packed_bytes(text.encode())


def packed_bytes(content: bytes) -> bytes:
    """Bytes after their size."""
    return _SIZE.pack(len(content)) + content
