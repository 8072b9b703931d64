"""Rows in few pieces of bytes, as the library takes them."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

# Sizes are unsigned numbers of 32 bits, low byte first, of which the greatest says that a key is deleted.
_SIZE: Final = "I"
_DELETED: Final = 0xFFFF_FFFF


class PackedRows(NamedTuple):
    """Keys and values, each one after the other, and how many bytes each of them has."""

    keys: bytes
    key_sizes: bytes
    values: bytes
    value_sizes: bytes

    @property
    def size_bytes(self) -> int:
        """What is held."""
        return sum(map(len, self))

    def rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """The rows one by one, in their order."""
        key_end = value_end = 0
        for key_size, value_size in zip(_numbers(self.key_sizes), _numbers(self.value_sizes), strict=True):
            key_start, key_end = key_end, key_end + key_size
            value_start, value_end = value_end, value_end + (0 if value_size == _DELETED else value_size)
            key = self.keys[key_start:key_end]
            yield key, None if value_size == _DELETED else self.values[value_start:value_end]


def packed(keys: Sequence[bytes], values: Sequence[bytes | None]) -> PackedRows:
    """Rows in one piece; a value of None deletes its key."""
    present = [value for value in values if value is not None]
    if len(present) == len(values):
        value_sizes = array(_SIZE, map(len, present))
    else:
        value_sizes = array(_SIZE, [_DELETED if value is None else len(value) for value in values])
    return PackedRows(b"".join(keys), _bytes(array(_SIZE, map(len, keys))), b"".join(present), _bytes(value_sizes))


def _bytes(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(encoded: bytes) -> "array[int]":
    numbers = array(_SIZE, encoded)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
