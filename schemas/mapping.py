"""Mapping files: how records of another shape become CloudEvents. YAML with JMESPath expressions, one per source.

Reference with an example: docs/mapping.md. A mapping is read once, strictly: an unknown key, a broken expression, a
function, table or time zone that does not exist stop the program at its start.
"""

import codecs
import hashlib
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from schemas.errors import DeadCode, EventError, SettingError
from schemas.event import RAW_DIGEST, SPEC_VERSION, TRANSPORT_FIELDS, CloudEvent, parse_structured
from schemas.mapping_expression import Expression, Row
from schemas.mapping_functions import MappingFunctions, failed
from schemas.sources import SourceRegistry
from schemas.strict_json import canonical_json, read_json
from schemas.yaml_files import decode_yaml, read_yaml_file, suggestion

MAPPING_DEPTH_MAX: Final = 16
_DIGEST_LENGTH_BYTES: Final = 8
_EVENT_KEYS: Final = ("id", "type", "time", "channel", "subject", "data")
_REQUIRED_KEYS: Final = ("id", "type", "time", "data")
#: Attributes without which a row is no event.
_REQUIRED_ATTRIBUTES: Final = ("id", "type", "time")
_UTF8: Final = "utf-8"


class InputFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a file of such records is written. Records that come over Kafka are JSON and need none of it."""

    format: Literal["csv", "jsonl"] = "csv"
    encoding: str = _UTF8
    delimiter: str = ","
    quote: str = '"'
    #: Names of the columns where the file has no header row.
    columns: tuple[str, ...] = ()


class _MappingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    source: str
    event: dict[str, Any]
    input: InputFormat = InputFormat()
    tables: dict[str, dict[Any, Any]] = {}


class Mapping:
    """A loaded mapping; `apply` makes the event of one record."""

    def __init__(self, content: bytes, name: str = "mapping") -> None:
        decoded = decode_yaml(content, _MappingFile, name, {".input": InputFormat})
        self.source = decoded.source
        self.input = decoded.input
        #: Tells one mapping from another, also from its own former content.
        self.fingerprint = hashlib.blake2b(content, digest_size=_DIGEST_LENGTH_BYTES).hexdigest()
        _check_input(decoded.input, name)
        self._functions = MappingFunctions(_tables(decoded.tables, name))
        self._columns: set[str] = set()
        _check_keys(decoded.event, name)
        self._attributes = {
            key: self._compile(decoded.event[key], f"{name}: event.{key}", 1)
            for key in _EVENT_KEYS
            if key != "data" and key in decoded.event
        }
        self._data = self._compile(decoded.event["data"], f"{name}: event.data", 1)
        #: Names at the top of a record that its expressions read.
        self.columns = frozenset(self._columns)

    def apply(self, row: Row) -> dict[str, Any]:
        """The event of a record, in structured form, ready to be encoded as JSON.

        Raises:
            EventError: `mapping_failed`; or `invalid_utf8` for a record that holds no Unicode text.
        """
        event: dict[str, Any] = {"specversion": SPEC_VERSION, "source": self.source}
        for key, leaf in self._attributes.items():
            value = _value(leaf, row)
            if value is not None:
                event[key] = str(value) if key == "id" and isinstance(value, int) else value
        for key in _REQUIRED_ATTRIBUTES:
            if key not in event:
                raise EventError(DeadCode.MAPPING_FAILED, f"event.{key} yields nothing for this record", f"/{key}")
        event[RAW_DIGEST] = _digest(row)
        data = _value(self._data, row) or {}
        if isinstance(data.get("refs"), list):
            data["refs"] = [ref for ref in data["refs"] if _is_whole(ref)]
        event["data"] = data
        return event

    def encode(self, row: Row) -> bytes:
        """The event of a record as structured-mode JSON.

        Raises:
            EventError: as `apply`.
        """
        try:
            return canonical_json(self.apply(row))
        except UnicodeEncodeError:
            raise EventError(DeadCode.INVALID_UTF8, "half of a surrogate pair, which no UTF-8 can hold") from None
        except (TypeError, ValueError, RecursionError) as error:
            raise failed(f"the event can't be written as JSON: {error}") from None

    def read(self, value: bytes) -> CloudEvent:
        """The event of a JSON record, such as intake finds on a raw topic.

        Raises:
            EventError: it is no JSON object, can't be mapped, or gives an unacceptable event.
        """
        row = read_json(value)
        if not isinstance(row, dict):
            raise EventError(DeadCode.NOT_AN_OBJECT, "a record to be mapped is a JSON object")
        return parse_structured(self.encode(row))

    def _compile(self, node: Any, place: str, depth: int) -> Any:
        """Objects and lists keep their shape, texts become expressions, other scalars stay what they are."""
        if depth > MAPPING_DEPTH_MAX:
            raise SettingError(f"{place}: nested deeper than {MAPPING_DEPTH_MAX} levels")
        if isinstance(node, str):
            expression = Expression(node, place, self._functions)
            self._columns |= expression.columns
            return expression
        if isinstance(node, dict):
            return {str(key): self._compile(child, f"{place}.{key}", depth + 1) for key, child in node.items()}
        if isinstance(node, list):
            return [self._compile(child, f"{place}[{index}]", depth + 1) for index, child in enumerate(node)]
        if node is None or isinstance(node, (bool, int, float)):
            return node
        raise SettingError(f"{place}: {node!r} is read as a {type(node).__name__}; write a text as \"'{node}'\"")


class MappingSet:
    """The mappings of all registered sources that have one."""

    def __init__(self, mappings: dict[str, Mapping]) -> None:
        self._mappings = mappings

    def for_source(self, name: str) -> Mapping | None:
        """The mapping of a source, or None where its records have to be CloudEvents."""
        return self._mappings.get(name)


def load_mapping(path: Path) -> Mapping:
    """The mapping in a file.

    Raises:
        SettingError: it can't be read or is wrong; the message names file, key and place.
    """
    return Mapping(read_yaml_file(path), str(path))


def load_mappings(registry: SourceRegistry) -> MappingSet:
    """The mappings that a registry names, relative to its folder.

    Raises:
        SettingError: one can't be read, is wrong, or is another source's.
    """
    mappings: dict[str, Mapping] = {}
    for name, source in registry.sources.items():
        if source.mapping is None:
            continue
        mapping = load_mapping(registry.folder / source.mapping)
        if mapping.source != name:
            raise SettingError(f"source {name!r} is registered with {source.mapping}, which maps {mapping.source!r}")
        mappings[name] = mapping
    return MappingSet(mappings)


def _check_input(given: InputFormat, name: str) -> None:
    try:
        codecs.lookup(given.encoding)
    except LookupError:
        raise SettingError(f"{name}: input.encoding: there is no encoding {given.encoding!r}") from None
    for key in ("delimiter", "quote"):
        if len(getattr(given, key)) != 1:
            raise SettingError(f'{name}: input.{key} is one character; a tab is written "\\t"')
    if len(set(given.columns)) != len(given.columns):
        raise SettingError(f"{name}: input.columns names a column twice")


def _check_keys(event: dict[str, Any], name: str) -> None:
    for key in event:
        if key not in _EVENT_KEYS:
            raise SettingError(f"{name}: event: unknown key {key!r}{suggestion(str(key), list(_EVENT_KEYS))}")
    for key in _REQUIRED_KEYS:
        if event.get(key) is None:
            raise SettingError(f"{name}: event.{key} is missing")
    data = event["data"]
    if not isinstance(data, dict) or not isinstance(data.get("identifiers"), (dict, str)):
        raise SettingError(f"{name}: event.data.identifiers is missing: without one an event is nobody's")


def _tables(tables: dict[str, dict[Any, Any]], name: str) -> dict[str, dict[str, Any]]:
    """Tables by text, since a CSV file has nothing else."""
    checked: dict[str, dict[str, Any]] = {}
    for table, entries in tables.items():
        for key in entries:
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise SettingError(
                    f"{name}: tables.{table}: the key {key!r} is read as a {type(key).__name__}; put it in quotes"
                )
        checked[table] = {str(key): value for key, value in entries.items()}
    return checked


def _value(leaf: Any, row: Row) -> Any:
    """What a node of the mapping makes of a record; None where nothing is in it."""
    if isinstance(leaf, Expression):
        value = leaf.evaluate(row)
        return None if value in ("", [], {}) else value
    if isinstance(leaf, dict):
        found = {key: value for key, child in leaf.items() if (value := _value(child, row)) is not None}
        return found or None
    if isinstance(leaf, list):
        return [value for child in leaf if (value := _value(child, row)) is not None] or None
    return leaf


def _is_whole(ref: Any) -> bool:
    """A reference whose id is an empty cell is left out; what is no object at all is for the checks to refuse."""
    return not isinstance(ref, dict) or ("kind" in ref and "id" in ref)


def _digest(row: Row) -> str:
    """The hash of the record as it was sent, so that a better mapping does not make a conflict of every old event."""
    if not TRANSPORT_FIELDS.isdisjoint(row):
        row = {name: value for name, value in row.items() if name not in TRANSPORT_FIELDS}
    return hashlib.blake2b(canonical_json(row), digest_size=_DIGEST_LENGTH_BYTES).hexdigest()
