"""Values of every Avro type, read from bytes that nobody vouches for.

A reading function takes the source on by the bytes of one value. What it raises where they are none, IndexError at the
end among it, becomes an `EventError` in `schemas.avro.reading`.
"""

import base64
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from schemas.errors import DeadCode, EventError

# Levels of containers. JSON's own bound is lower and told exactly; this one keeps the stack short.
DEPTH_MAX: Final = 64
# What takes from the allowance, in bytes of JSON or of memory, roughly: an item of a list, a field besides its name.
_ITEM_COST: Final = 8
FIELD_COST: Final = 4
_VARINT_BITS_MAX: Final = 63
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_RAW: Final = msgspec.json.Decoder(msgspec.Raw)


class BrokenError(ValueError):
    """The body does not fit its schema."""


class Source:
    """A body, and how far it has been read."""

    __slots__ = ("allowance", "data", "depth", "position", "trail")

    def __init__(self, data: bytes, allowance: int) -> None:
        self.data = data
        self.position = 0
        self.depth = 0
        self.allowance = allowance
        #: Where an error happened, innermost first.
        self.trail: list[str | int] = []

    def enter(self) -> None:
        """Count a container that begins."""
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise EventError(DeadCode.NESTING_TOO_DEEP, f"nested deeper than {DEPTH_MAX} levels")

    def take(self, cost: int) -> None:
        """Pay for a value."""
        self.allowance -= cost
        if self.allowance < 0:
            raise BrokenError("it unpacks to far more than its size")


Read = Callable[[Source], Any]


class Field(NamedTuple):
    """A field of a record."""

    name: str
    read: Read
    #: Left out while it is null.
    optional: bool


def _long(source: Source) -> int:
    data, position = source.data, source.position
    byte = data[position]
    value, shift = byte & 0x7F, 7
    while byte & 0x80:
        position += 1
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if shift > _VARINT_BITS_MAX:
            raise BrokenError("a number of more than 64 bits")
        shift += 7
    source.position = position + 1
    return (value >> 1) ^ -(value & 1)


def _bytes(source: Source, size: int) -> bytes:
    position = source.position
    end = position + size
    if size < 0 or end > len(source.data):
        raise BrokenError(f"a length of {size} bytes, of which {len(source.data) - position} are there")
    source.position = end
    return source.data[position:end]


def read_bytes(source: Source) -> bytes:
    """Bytes with their length before them."""
    return _bytes(source, _long(source))


def _string(source: Source) -> str:
    return _bytes(source, _long(source)).decode()


def read_json_text(source: Source) -> msgspec.Raw:
    """A text that holds JSON."""
    return _RAW.decode(_bytes(source, _long(source)))


def to_base64(content: bytes) -> str:
    """Bytes as JSON has them."""
    return base64.b64encode(content).decode()


def _int(source: Source) -> int:
    value = _long(source)
    if not -(2**31) <= value < 2**31:
        raise BrokenError("an int of more than 32 bits")
    return value


def _long_number(source: Source) -> int:
    value = _long(source)
    if not -(2**63) <= value < 2**63:
        raise BrokenError("a number of more than 64 bits")
    return value


def _boolean(source: Source) -> bool:
    byte = source.data[source.position]
    if byte > 1:
        raise BrokenError(f"{byte} is no boolean")
    source.position += 1
    return byte == 1


def _number(packed: struct.Struct) -> Read:
    def read(source: Source) -> float | str:
        value: float = packed.unpack(_bytes(source, packed.size))[0]
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"

    return read


def _null(_source: Source) -> None:
    return None


def converted(read: Read, conversion: Callable[[Any], Any]) -> Read:
    """Reads values of a logical type."""
    return lambda source: conversion(read(source))


def fixed_of(size: int) -> Read:
    """Reads so many bytes."""
    return lambda source: _bytes(source, size)


def enum_of(symbols: Sequence[str]) -> Read:
    """Reads one of the symbols."""

    def read(source: Source) -> str:
        place = _long(source)
        if not 0 <= place < len(symbols):
            raise BrokenError(f"{place} is none of the {len(symbols)} symbols")
        source.take(len(symbols[place]))
        return symbols[place]

    return read


def union_of(branches: Sequence[Read]) -> Read:
    """Reads a value of one of the types."""
    count = len(branches)

    def read(source: Source) -> Any:
        place = _long(source)
        if not 0 <= place < count:
            raise BrokenError(f"{place} is none of the {count} types of a union")
        return branches[place](source)

    return read


def record_of(fields: list[Field], cost: int) -> Read:
    """Reads a record; the fields may be added later, as a recursive type needs it."""

    def read(source: Source) -> dict[str, Any]:
        source.enter()
        source.take(cost)
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, read_field, optional in fields:
                value = read_field(source)
                if value is not None or not optional:
                    values[name] = value
        except Exception:
            source.trail.append(name)
            raise
        source.depth -= 1
        return values

    return read


def _block(source: Source) -> int:
    """How many items come next; 0 at the end."""
    count = _long(source)
    if count < 0:
        # The size of the block, for those who skip it.
        _long(source)
    return abs(count)


def array_of(read_item: Read) -> Read:
    """Reads a list."""

    def read(source: Source) -> list[Any]:
        source.enter()
        items: list[Any] = []
        try:
            while count := _block(source):
                for _ in range(count):
                    source.take(_ITEM_COST)
                    items.append(read_item(source))
        except Exception:
            source.trail.append(len(items))
            raise
        source.depth -= 1
        return items

    return read


def map_of(read_value: Read) -> Read:
    """Reads values by their keys."""

    def read(source: Source) -> dict[str, Any]:
        source.enter()
        values: dict[str, Any] = {}
        try:
            while count := _block(source):
                for _ in range(count):
                    source.take(_ITEM_COST)
                    key = _string(source)
                    values[key] = read_value(source)
        except Exception:
            source.trail.append(len(values))
            raise
        source.depth -= 1
        return values

    return read


PRIMITIVES: Final[dict[str, Read]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long_number,
    "float": _number(_FLOAT),
    "double": _number(_DOUBLE),
    "bytes": converted(read_bytes, to_base64),
    "string": _string,
}
