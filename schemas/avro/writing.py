"""A public topic's JSON as Avro: the same content, by the topic's own schema.

The engines write JSON whatever the settings say, and readers that meet Avro make the same JSON of it again
(`schemas.avro.reading`), byte for byte.
"""

import io
from collections.abc import Callable
from typing import Any, Final

import msgspec
from fastavro import parse_schema, schemaless_writer

from schemas.avro.public_schemas import JSON_PROPERTY, PublicSchema

_DECODE: Final = msgspec.json.Decoder().decode
_ENCODE: Final = msgspec.json.Encoder().encode

#: Changes a decoded value in place, so that every field whose value may be of any shape holds its JSON text.
_Pack = Callable[[Any], None]


class AvroWriter:
    """Writes bodies of one public topic."""

    def __init__(self, public: PublicSchema) -> None:
        self._schema = parse_schema(public.schema)
        self._pack = _Packing().of(self._schema)

    def body(self, document: bytes) -> bytes:
        """The Avro body of a JSON document of the topic.

        Raises:
            ValueError: the document is not as its schema says, which is a fault of this program.
        """
        value = _DECODE(document)
        if self._pack is not None:
            self._pack(value)
        written = io.BytesIO()
        # A field that the schema does not have would be lost without a word.
        schemaless_writer(written, self._schema, value, strict_allow_default=True)
        return written.getvalue()


class _Packing:
    """Makes the functions that visit what holds JSON text, and nothing else."""

    def __init__(self) -> None:
        self._of_names: dict[str, _Pack] = {}

    def of(self, schema: Any) -> _Pack | None:
        """What packs a value of the type; None where there is nothing in it to pack."""
        if isinstance(schema, str):
            return self._of_names.get(schema)
        if isinstance(schema, list):
            # Unions of ours are of null and one other type.
            packs = [pack for branch in schema if (pack := self.of(branch)) is not None]
            return packs[0] if packs else None
        if schema["type"] == "record":
            return self._of_record(schema)
        inner = self.of(schema["items"] if schema["type"] == "array" else schema.get("values", "null"))
        if inner is None:
            return None
        return _of_items(inner) if schema["type"] == "array" else _of_values(inner)

    def _of_record(self, schema: Any) -> _Pack | None:
        texts = [field["name"] for field in schema["fields"] if field.get(JSON_PROPERTY) is True]
        inner: list[tuple[str, _Pack]] = []
        pack = _of_fields(texts, inner)
        if texts:
            # The type may be used within itself.
            self._of_names[schema["name"]] = pack
        inner += [(field["name"], found) for field in schema["fields"] if (found := self.of(field["type"])) is not None]
        if not texts and not inner:
            return None
        self._of_names[schema["name"]] = pack
        return pack


def _of_fields(texts: list[str], inner: list[tuple[str, _Pack]]) -> _Pack:
    def pack(value: Any) -> None:
        for name in texts:
            if name in value:
                value[name] = _ENCODE(value[name]).decode()
        for name, pack_inner in inner:
            if (found := value.get(name)) is not None:
                pack_inner(found)

    return pack


def _of_items(inner: _Pack) -> _Pack:
    def pack(items: Any) -> None:
        for item in items:
            inner(item)

    return pack


def _of_values(inner: _Pack) -> _Pack:
    def pack(values: Any) -> None:
        for value in values.values():
            inner(value)

    return pack
