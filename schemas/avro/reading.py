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

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from fastavro import parse_schema
from fastavro.schema import SchemaParseException, UnknownType

from schemas.avro.logical import conversion_of
from schemas.avro.public_schemas import JSON_PROPERTY
from schemas.avro.values import (
    FIELD_COST,
    PRIMITIVES,
    Field,
    Read,
    Source,
    array_of,
    converted,
    enum_of,
    fixed_of,
    map_of,
    read_bytes,
    read_json_text,
    record_of,
    to_base64,
    union_of,
)
from schemas.errors import DeadCode, EventError, UnusableSchemaError
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.strict_json import UNREADABLE, pointer_to, read_json

# A schema may be as large and nest as deep as this; its compilation takes time with its size, once.
SCHEMA_SIZE_BYTES_MAX: Final = 1024 * 1024
SCHEMA_DEPTH_MAX: Final = 100
# The allowance of a body: so much at once, so much for each of its bytes, and never more than the last times its bound.
_ALLOWANCE: Final = 16 * 1024
_ALLOWANCE_PER_BYTE: Final = 64
_ALLOWANCE_PER_BOUND: Final = 4
_NAMED: Final = ("record", "error", "enum", "fixed")
_ENCODE: Final = msgspec.json.Encoder().encode


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
        try:
            for reference in references:
                _parsed(reference, named)
            self._read = _Compiler(named).compile(_parsed(text, named))
        except EventError as error:
            raise UnusableSchemaError(error.message) from None
        except (SchemaParseException, UnknownType) as error:
            raise UnusableSchemaError(f"no Avro schema: {error}") from None
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            # The library looks into some ill-formed schemas before it checks them.
            raise UnusableSchemaError(f"no Avro schema: {type(error).__name__}") from None

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
        source = Source(bytes(body), allowance)
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
    return parse_schema(read_json(text.encode(), depth_max=SCHEMA_DEPTH_MAX), named_schemas=named, _write_hint=False)


class _Compiler:
    """Makes a reading function of each type of a schema."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._compiled: dict[str, Read] = {}

    def compile(self, schema: Any, json: bool = False) -> Read:
        """The function that reads values of a type; `json`: its texts hold JSON."""
        if isinstance(schema, list):
            return union_of([self.compile(branch, json) for branch in schema])
        if isinstance(schema, dict):
            return self._complex(schema, json)
        if schema == "string" and json:
            return read_json_text
        return PRIMITIVES.get(schema) or self._reference(schema)

    def _complex(self, schema: dict[str, Any], json: bool) -> Read:
        kind = schema["type"]
        if kind in _NAMED:
            return self._name(schema)
        if kind == "array":
            return array_of(self.compile(schema["items"]))
        if kind == "map":
            return map_of(self.compile(schema["values"]))
        conversion = None if json else conversion_of(schema)
        if conversion is None:
            return self.compile(kind, json)
        return converted(read_bytes if kind == "bytes" else self.compile(kind), conversion)

    def _name(self, schema: Mapping[str, Any]) -> Read:
        read = self._named_type(schema)
        self._compiled[schema["name"]] = read
        return read

    def _named_type(self, schema: Mapping[str, Any]) -> Read:
        if schema["type"] == "enum":
            if not all(isinstance(symbol, str) for symbol in schema["symbols"]):
                raise UnusableSchemaError("the symbols of an enum are texts")
            return enum_of(schema["symbols"])
        if schema["type"] == "fixed":
            if type(schema["size"]) is not int or schema["size"] < 0:
                raise UnusableSchemaError("the size of a fixed is a whole number")
            conversion = conversion_of(dict(schema))
            return converted(fixed_of(schema["size"]), conversion or to_base64)
        fields: list[Field] = []
        read = record_of(fields, sum(len(field["name"]) + FIELD_COST for field in schema["fields"]))
        # A recursive type names itself before its fields are known.
        self._compiled[schema["name"]] = read
        for field in schema["fields"]:
            optional = "default" in field and field["default"] is None
            fields.append(Field(field["name"], self.compile(field["type"], field.get(JSON_PROPERTY) is True), optional))
        return read

    def _reference(self, name: str) -> Read:
        if name not in self._compiled:
            if name not in self._named:
                raise UnusableSchemaError(f"the schema names {name!r}, which it does not define")
            return self._name(self._named[name])
        return self._compiled[name]


def _broken(source: Source, message: str) -> EventError:
    return EventError(DeadCode.BROKEN_AVRO, f"{message} (at byte {source.position})", _pointer(source))


def _pointer(source: Source) -> str:
    pointer = ""
    for token in reversed(source.trail):
        pointer = pointer_to(pointer, token)
    return pointer
