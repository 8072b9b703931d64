"""What may change in a schema: whether data written by one schema can be read by another, as Avro's resolution has it.

The release test and the fake registry ask the same function.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from fastavro import parse_schema

from schemas.errors import UnusableSchemaError

# Numbers and texts that may be read as a wider or another type.
_PROMOTIONS: Final = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})


class Level(StrEnum):
    """What a registry asks of a new version, by Confluent's names."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"
    FULL = "FULL"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


def differences(new: Any, olds: Sequence[Any], level: Level) -> list[str]:
    """Why a schema may not follow the older ones (oldest first); empty when it may."""
    direction, _, transitive = level.partition("_")
    found = []
    for old in olds if transitive else olds[-1:]:
        if direction in {"BACKWARD", "FULL"}:
            found += [f"new readers can't read old data: {problem}" for problem in unreadable(new, old)]
        if direction in {"FORWARD", "FULL"}:
            found += [f"old readers can't read new data: {problem}" for problem in unreadable(old, new)]
    return found


def unreadable(reader: Any, writer: Any) -> list[str]:
    """What of data written by one schema can't be read by another, each with its place; empty when all of it can.

    Args:
        reader: The decoded schema that reads.
        writer: The decoded schema that wrote.

    Raises:
        UnusableSchemaError: one of them is no schema.
    """
    comparison = _Comparison(_names_of(reader), _names_of(writer))
    return comparison.problems(comparison.readers[""], comparison.writers[""], "")


def _names_of(schema: Any) -> dict[str, Any]:
    """Every named type of a schema by its full name, and the schema itself under the empty name."""
    named: dict[str, Any] = {}
    try:
        parsed = parse_schema(schema, named_schemas=named, _write_hint=False)
    except Exception as error:  # noqa: BLE001 - whatever the library stumbles over, it is no schema.
        raise UnusableSchemaError(f"no Avro schema: {error}") from None
    return {**named, "": parsed}


class _Comparison:
    """Compares the types of two schemas; a pair that is being compared counts as alike, so that recursion ends."""

    def __init__(self, readers: dict[str, Any], writers: dict[str, Any]) -> None:
        self.readers = readers
        self.writers = writers
        self._compared: set[tuple[str, str]] = set()

    def problems(self, reader: Any, writer: Any, place: str) -> list[str]:
        reader, writer = _resolved(reader, self.readers), _resolved(writer, self.writers)
        if isinstance(writer, list):
            return [problem for branch in writer for problem in self.problems(reader, branch, place)]
        if isinstance(reader, list):
            return self._of_union(reader, writer, place)
        kind, written = _kind(reader), _kind(writer)
        if kind in _NAMED and kind == written:
            return self._of_named(kind, reader, writer, place)
        if kind in {"array", "map"} and kind == written:
            inner = "items" if kind == "array" else "values"
            return self.problems(reader[inner], writer[inner], f"{place}/*")
        if kind != written and kind not in _PROMOTIONS.get(written, ()):
            return [f"{place or '/'}: {written} can't be read as {kind}"]
        return _of_decimals(reader, writer, place)

    def _of_union(self, branches: list[Any], writer: Any, place: str) -> list[str]:
        if any(not self.problems(branch, writer, place) for branch in branches):
            return []
        return [f"{place or '/'}: {_kind(writer)} is none of the reader's union"]

    def _of_named(self, kind: str, reader: Any, writer: Any, place: str) -> list[str]:
        names = {_short(reader["name"]), *map(_short, reader.get("aliases", ()))}
        if _short(writer["name"]) not in names:
            return [f"{place or '/'}: {writer['name']} can't be read as {reader['name']}"]
        if kind == "fixed":
            sizes = (reader["size"], writer["size"])
            different = [f"{place or '/'}: size {sizes[1]} instead of {sizes[0]}"] if sizes[0] != sizes[1] else []
            return different or _of_decimals(reader, writer, place)
        if kind == "enum":
            unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            return [f"{place or '/'}: symbols {unknown} are not known"] if unknown and "default" not in reader else []
        pair = (reader["name"], writer["name"])
        if pair in self._compared:
            return []
        self._compared.add(pair)
        found = self._of_fields(reader, writer, place)
        if found:
            # Elsewhere the same pair is a problem, too: another branch of a union may be asked.
            self._compared.discard(pair)
        return found

    def _of_fields(self, reader: Any, writer: Any, place: str) -> list[str]:
        written = {field["name"]: field for field in writer["fields"]}
        found = []
        for field in reader["fields"]:
            where = f"{place}/{field['name']}"
            names = [name for name in (field["name"], *field.get("aliases", ())) if name in written]
            if names:
                found += self.problems(field["type"], written[names[0]]["type"], where)
            elif "default" not in field:
                found.append(f"{where}: not written, and without a default")
        return found


def _resolved(schema: Any, names: dict[str, Any]) -> Any:
    return names.get(schema, schema) if isinstance(schema, str) else schema


def _kind(schema: Any) -> str:
    kind = schema if isinstance(schema, str) else "union" if isinstance(schema, list) else schema["type"]
    return kind if isinstance(kind, str) else _kind(kind)


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _of_decimals(reader: Any, writer: Any, place: str) -> list[str]:
    """Decimals are read by the reader's scale: by another one, every amount would be another."""
    scales = [
        (schema.get("precision"), schema.get("scale", 0))
        for schema in (reader, writer)
        if isinstance(schema, dict) and schema.get("logicalType") == "decimal"
    ]
    if len(set(scales)) > 1:
        return [f"{place or '/'}: decimals of precision and scale {scales[1]} instead of {scales[0]}"]
    return []
