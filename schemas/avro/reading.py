"""Avro of any schema to the JSON of the same content, within bounds of depth, time and memory.

Written for bytes that nobody vouches for: libraries follow a count of 2^60 items, or a list that nests without an end,
wherever it leads. Here each container counts its levels, and every value takes from an allowance that grows with the
body, so that a small body can't become a large value. Whatever the bytes, the only thing raised is `EventError`.

| Avro | JSON |
| --- | --- |
| record | object, without the fields that are null and null by default |
| map, array, enum, string, boolean, int, long, float, double | object, array, text, text, as they are |
| union | the value itself |
| bytes, fixed | base64 text |
| a float that is no number | the text NaN, Infinity or -Infinity |
| logical types | text (`schemas.avro.logical`) |
| a text of a field with `goldenthread.json` | the JSON value that it holds |
"""

import base64
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from fastavro import parse_schema
from fastavro.schema import SchemaParseException, UnknownType

from schemas.avro.logical import conversion_of
from schemas.avro.public_schemas import JSON_PROPERTY
from schemas.errors import DeadCode, EventError
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.strict_json import UNREADABLE, pointer_to, read_json

# A schema may be as large and nest as deep as this; its compilation takes time with its size, once.
SCHEMA_SIZE_BYTES_MAX: Final = 1024 * 1024
SCHEMA_DEPTH_MAX: Final = 100
# Levels of containers. JSON's own bound is lower and told exactly; this one keeps the stack short.
DEPTH_MAX: Final = 64
# The allowance of a body: so much at once, so much for each of its bytes, and never more than the last times its bound.
_ALLOWANCE: Final = 16 * 1024
_ALLOWANCE_PER_BYTE: Final = 64
_ALLOWANCE_PER_BOUND: Final = 4
# What takes from it, in bytes of JSON or of memory, roughly: an item of a list, a field besides its name.
_ITEM_COST: Final = 8
_FIELD_COST: Final = 4
_VARINT_BITS_MAX: Final = 63
_NAMED: Final = ("record", "error", "enum", "fixed")
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_RAW: Final = msgspec.json.Decoder(msgspec.Raw)
_ENCODE: Final = msgspec.json.Encoder().encode


class UnusableSchemaError(ValueError):
    """The text is no Avro schema that can be read by; the message says why."""


class _BrokenError(ValueError):
    """The body does not fit its schema."""


class _Source:
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
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise EventError(DeadCode.NESTING_TOO_DEEP, f"nested deeper than {DEPTH_MAX} levels")

    def take(self, cost: int) -> None:
        self.allowance -= cost
        if self.allowance < 0:
            raise _BrokenError("it unpacks to far more than its size")


_Read = Callable[[_Source], Any]


class _Field(NamedTuple):
    name: str
    read: _Read
    #: Left out while it is null.
    optional: bool


class AvroReader:
    """Reads bodies of one schema.

    Args:
        text: The schema, as JSON text.
        references: Texts of the schemas whose names it uses, each after those that it uses itself.
        size_bytes_max: The largest body.

    Raises:
        UnusableSchemaError: it is none.
    """

    def __init__(self, text: str, references: Sequence[str] = (), size_bytes_max: int = EVENT_SIZE_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        named: dict[str, Any] = {}
        for reference in references:
            _parsed(reference, named)
        self._read = _Compiler(named).compile(_parsed(text, named))

    def value(self, body: bytes | memoryview) -> Any:
        """The value in a body; JSON texts in it are `msgspec.Raw`.

        Raises:
            EventError: `broken_avro`, `nesting_too_deep` or `record_too_large`.
        """
        size_bytes = len(body)
        if size_bytes > self._size_bytes_max:
            message = f"{size_bytes} bytes of Avro, at most {self._size_bytes_max} are taken"
            raise EventError(DeadCode.RECORD_TOO_LARGE, message)
        allowance = min(_ALLOWANCE + _ALLOWANCE_PER_BYTE * size_bytes, _ALLOWANCE_PER_BOUND * self._size_bytes_max)
        source = _Source(bytes(body), allowance)
        try:
            value = self._read(source)
        except EventError as error:
            raise EventError(error.code, error.message, _pointer(source)) from None
        except IndexError:
            raise _broken(source, "the body ends in the middle of a value") from None
        except UNREADABLE:
            raise _broken(source, "a text is no UTF-8, or no JSON where JSON is promised") from None
        except (ValueError, ArithmeticError) as error:
            raise _broken(source, str(error)) from None
        if source.position != size_bytes:
            raise _broken(source, f"{size_bytes - source.position} bytes follow the value: another schema wrote it")
        return value

    def json(self, body: bytes | memoryview) -> bytes:
        """The JSON text of the value in a body, fields in the order of the schema.

        Raises:
            EventError: as `value`.
        """
        return _ENCODE(self.value(body))


def _parsed(text: str, named: dict[str, Any]) -> Any:
    """A schema with every name complete, checked by fastavro; `named` gets its named types."""
    if len(text) > SCHEMA_SIZE_BYTES_MAX:
        raise UnusableSchemaError(f"a schema of {len(text)} characters, at most {SCHEMA_SIZE_BYTES_MAX} are taken")
    try:
        schema = read_json(text.encode(), depth_max=SCHEMA_DEPTH_MAX)
        return parse_schema(schema, named_schemas=named, _write_hint=False)
    except EventError as error:
        raise UnusableSchemaError(error.message) from None
    except (SchemaParseException, UnknownType) as error:
        raise UnusableSchemaError(f"no Avro schema: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        # The library looks into some ill-formed schemas before it checks them.
        raise UnusableSchemaError(f"no Avro schema: {type(error).__name__} {error}") from None


class _Compiler:
    """Makes a reading function of each type of a schema."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._compiled: dict[str, _Read] = {}

    def compile(self, schema: Any, json: bool = False) -> _Read:
        """The function that reads values of a type; `json`: its texts hold JSON."""
        if isinstance(schema, list):
            return _union([self.compile(branch, json) for branch in schema])
        if isinstance(schema, dict):
            return self._complex(schema, json)
        if schema == "string" and json:
            return _json
        return _PRIMITIVES.get(schema) or self._reference(schema)

    def _complex(self, schema: dict[str, Any], json: bool) -> _Read:
        kind = schema["type"]
        if kind in _NAMED:
            return self._name(schema)
        if kind == "array":
            return _array(self.compile(schema["items"]))
        if kind == "map":
            return _map(self.compile(schema["values"]))
        conversion = None if json else conversion_of(schema)
        if conversion is None:
            return self.compile(kind, json)
        return _converted(_sized_bytes if kind == "bytes" else self.compile(kind), conversion)

    def _name(self, schema: Mapping[str, Any]) -> _Read:
        read = self._named_type(schema)
        self._compiled[schema["name"]] = read
        return read

    def _named_type(self, schema: Mapping[str, Any]) -> _Read:
        if schema["type"] == "enum":
            return _enum(schema["symbols"])
        if schema["type"] == "fixed":
            conversion = conversion_of(dict(schema))
            return _converted(_fixed(schema["size"]), conversion or _base64)
        fields: list[_Field] = []
        read = _record(fields, sum(len(field["name"]) + _FIELD_COST for field in schema["fields"]))
        # A recursive type names itself before its fields are known.
        self._compiled[schema["name"]] = read
        for field in schema["fields"]:
            optional = "default" in field and field["default"] is None
            fields.append(
                _Field(field["name"], self.compile(field["type"], field.get(JSON_PROPERTY) is True), optional)
            )
        return read

    def _reference(self, name: str) -> _Read:
        if name not in self._compiled:
            if name not in self._named:
                raise UnusableSchemaError(f"the schema names {name!r}, which it does not define")
            return self._name(self._named[name])
        return self._compiled[name]


def _broken(source: _Source, message: str) -> EventError:
    return EventError(DeadCode.BROKEN_AVRO, f"{message} (at byte {source.position})", _pointer(source))


def _pointer(source: _Source) -> str:
    pointer = ""
    for token in reversed(source.trail):
        pointer = pointer_to(pointer, token)
    return pointer


def _long(source: _Source) -> int:
    data, position = source.data, source.position
    byte = data[position]
    value, shift = byte & 0x7F, 7
    while byte & 0x80:
        position += 1
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if shift > _VARINT_BITS_MAX:
            raise _BrokenError("a number of more than 64 bits")
        shift += 7
    source.position = position + 1
    return (value >> 1) ^ -(value & 1)


def _bytes(source: _Source, size: int) -> bytes:
    position = source.position
    end = position + size
    if size < 0 or end > len(source.data):
        raise _BrokenError(f"a length of {size} bytes, of which {len(source.data) - position} are there")
    source.position = end
    return source.data[position:end]


def _sized_bytes(source: _Source) -> bytes:
    return _bytes(source, _long(source))


def _string(source: _Source) -> str:
    return _bytes(source, _long(source)).decode()


def _json(source: _Source) -> msgspec.Raw:
    return _RAW.decode(_bytes(source, _long(source)))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _int(source: _Source) -> int:
    value = _long(source)
    if not -(2**31) <= value < 2**31:
        raise _BrokenError("an int of more than 32 bits")
    return value


def _long_number(source: _Source) -> int:
    value = _long(source)
    if not -(2**63) <= value < 2**63:
        raise _BrokenError("a number of more than 64 bits")
    return value


def _boolean(source: _Source) -> bool:
    byte = source.data[source.position]
    if byte > 1:
        raise _BrokenError(f"{byte} is no boolean")
    source.position += 1
    return byte == 1


def _number(packed: struct.Struct) -> _Read:
    def read(source: _Source) -> float | str:
        value: float = packed.unpack(_bytes(source, packed.size))[0]
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"

    return read


def _null(_source: _Source) -> None:
    return None


def _converted(read: _Read, conversion: Callable[[Any], Any]) -> _Read:
    return lambda source: conversion(read(source))


def _fixed(size: int) -> _Read:
    return lambda source: _bytes(source, size)


def _enum(symbols: Sequence[str]) -> _Read:
    def read(source: _Source) -> str:
        place = _long(source)
        if not 0 <= place < len(symbols):
            raise _BrokenError(f"{place} is none of the {len(symbols)} symbols")
        source.take(len(symbols[place]))
        return symbols[place]

    return read


def _union(branches: Sequence[_Read]) -> _Read:
    count = len(branches)

    def read(source: _Source) -> Any:
        place = _long(source)
        if not 0 <= place < count:
            raise _BrokenError(f"{place} is none of the {count} types of a union")
        return branches[place](source)

    return read


def _record(fields: list[_Field], cost: int) -> _Read:
    def read(source: _Source) -> dict[str, Any]:
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


def _block(source: _Source) -> int:
    """How many items come next; 0 at the end."""
    count = _long(source)
    if count < 0:
        # The size of the block, for those who skip it.
        _long(source)
    return abs(count)


def _array(read_item: _Read) -> _Read:
    def read(source: _Source) -> list[Any]:
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


def _map(read_value: _Read) -> _Read:
    def read(source: _Source) -> dict[str, Any]:
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


_PRIMITIVES: Final[dict[str, _Read]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long_number,
    "float": _number(_FLOAT),
    "double": _number(_DOUBLE),
    "bytes": _converted(_sized_bytes, _base64),
    "string": _string,
}
