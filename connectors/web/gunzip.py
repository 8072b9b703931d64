"""Gzip taken apart as it arrives, never holding more than it may come to."""

import zlib
from typing import Final

# A window of 15 bits, and the frame of gzip around it.
_GZIP_WINDOW: Final = 31
#: Memory in use grows in steps of this.
_STEP_BYTES: Final = 64 * 1024
#: Some writers close a member now and then; each costs a decoder, so an endless row of empty ones is refused.
MEMBERS_MAX: Final = 256


class BrokenGzip(ValueError):
    """The bytes are no whole gzip; the message goes on after "it"."""


class TooMuch(ValueError):
    """What comes out is more than may; the message goes on after "it"."""


class Gunzip:
    """Decodes one body of one or more gzip members.

    Args:
        size_bytes_max: What may come out.
        ratio_max: How many times what went in may come out, past the free bytes.
        free_bytes: What may come out whatever went in.
    """

    def __init__(self, *, size_bytes_max: int, ratio_max: int, free_bytes: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._ratio_max = ratio_max
        self._free_bytes = free_bytes
        self._size_bytes_in = 0
        self._size_bytes_out = 0
        self._members = 1
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        # Whether the member at hand has had a byte: a body may end where none has begun.
        self._begun = False

    def feed(self, chunk: bytes, into: bytearray) -> None:
        """Decode what has arrived.

        Raises:
            BrokenGzip: it is no gzip, or its checksum is wrong.
            TooMuch: more came out than may.
        """
        self._size_bytes_in += len(chunk)
        while chunk:
            if self._member.eof:
                self._next_member()
            self._begun = True
            try:
                piece = self._member.decompress(chunk, _STEP_BYTES)
            except zlib.error:
                raise BrokenGzip("is none, or was damaged on its way") from None
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._size_bytes_out += len(piece)
            self._reject_much()
            into += piece

    def finish(self) -> None:
        """All has arrived.

        Raises:
            BrokenGzip: the last member is not whole, or there is none.
        """
        if not self._member.eof:
            raise BrokenGzip("breaks off" if self._begun else "is empty")

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MEMBERS_MAX:
            raise BrokenGzip(f"has more than {MEMBERS_MAX} members")
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    def _reject_much(self) -> None:
        if self._size_bytes_out > self._size_bytes_max:
            raise TooMuch(f"has more than {self._size_bytes_max} bytes")
        if self._size_bytes_out > max(self._free_bytes, self._ratio_max * self._size_bytes_in):
            raise TooMuch(f"is more than {self._ratio_max} times as large")
