"""Mapping files: how records of another shape become CloudEvents. YAML with JMESPath expressions, one per source.

Reference with an example: docs/mapping.md. A mapping is read once, strictly: an unknown key, a broken expression, a
function, table or time zone that does not exist stop the program at its start.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from schemas.errors import DeadCode, EventError, SettingError
from schemas.event import RAW_DIGEST, SPEC_VERSION, TIME_ASSIGNED
from schemas.mapping_expression import Expression, Row
from schemas.mapping_functions import RECEIVED_NAME, REQUEST_NAME, RESERVED_NAMES, MappingFunctions, failed
from schemas.mapping_records import RECORDS_MAX, BodyRecord, Pick, read_records
from schemas.sources import SourceRegistry
from schemas.strict_json import canonical_json
from schemas.times import format_time, parse_time
from schemas.yaml_files import decode_yaml, read_yaml_file, suggestion

MAPPING_DEPTH_MAX: Final = 16
_DIGEST_LENGTH_BYTES: Final = 8
_EVENT_KEYS: Final = ("id", "type", "time", "channel", "subject", "data")
_REQUIRED_KEYS: Final = ("id", "type", "data")
# Attributes without which a record is no event.
_REQUIRED_ATTRIBUTES: Final = ("id", "type", "time")
_UTF8: Final = "utf-8"
# A text in every encoding.
_FOUR_NULLS: Final = b"\0\0\0\0"
# Names of fields that a message lists.
_NAMES_TOLD_MAX: Final = 5


class InputFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How records are written. Those that come over HTTP or Kafka are JSON or forms and need none but the last two."""

    format: Literal["csv", "jsonl"] = "csv"
    encoding: str = _UTF8
    delimiter: str = ","
    quote: str = '"'
    #: Names of the columns where the file has no header row.
    columns: tuple[str, ...] = ()
    #: An expression that gives the list of records in a body, where the body is not the record.
    records: str = ""
    #: Fields that differ between copies of one record, such as the number of the attempt.
    transient: tuple[str, ...] = ()


class Arrival(NamedTuple):
    """How a record came: what expressions may read besides the record itself. It is no part of its content."""

    #: When collect or the broker took it, in microseconds since 1970; a file's rows have no such time.
    received_us: int | None = None
    #: `headers` and `query` of an HTTP request, by names in lower case.
    request: dict[str, Any] | None = None


#: A row of a file.
FILED: Final = Arrival()


class _MappingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    source: str
    event: dict[str, Any]
    input: InputFormat = InputFormat()
    #: Where it yields false or nothing, the record is left out on purpose.
    when: str = ""
    #: What a tool that verifies an address wants to be answered.
    challenge: str = ""
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
        self._functions = MappingFunctions(_tables(decoded.tables, name), decoded.input.transient)
        #: All expressions of events and of `when`, in the order of the file.
        self.expressions: list[Expression] = []
        self._when = self._compile(decoded.when, f"{name}: when", 1) if decoded.when else None
        _check_keys(decoded.event, name)
        self._attributes = {
            key: self._compile(decoded.event[key], f"{name}: event.{key}", 1)
            for key in _EVENT_KEYS
            if key != "data" and key in decoded.event
        }
        self._data = self._compile(decoded.event["data"], f"{name}: event.data", 1)
        read = frozenset(column for expression in self.expressions for column in expression.columns)
        #: Names at the top of a record that its expressions read.
        self.columns = read - RESERVED_NAMES
        self._reserved = read & RESERVED_NAMES
        time = self._attributes.get("time")
        self._reads_received = isinstance(time, Expression) and RECEIVED_NAME in time.columns
        #: Events get the time at which collect or the broker took them, which a file's rows do not have.
        self.leaves_out_time = time is None
        #: Its events are on the channel of its registration, or on none.
        self.leaves_out_channel = "channel" not in self._attributes
        #: Whether the request that brought a record is read.
        self.reads_request = REQUEST_NAME in self._reserved
        #: Of it, parts and the names in them, as far as the expressions tell.
        self.request_reads = frozenset(read for expression in self.expressions for read in expression.request_reads)
        # These read the body, not a record of it.
        self._records = self._apart(decoded.input.records, f"{name}: input.records")
        self._challenge = self._apart(decoded.challenge, f"{name}: challenge")
        #: Names at the top of a record that it knows of: those that events are made of, and those that it passes over.
        self.mentioned = self.columns.union(
            decoded.input.transient, () if self._challenge is None else self._challenge.columns
        )

    @property
    def pick(self) -> Pick | None:
        """Gives the records in a decoded body, where the body is not the record itself."""
        return None if self._records is None else functools.partial(_pick, self._records)

    def body_records(
        self, body: bytes, content_type: str = "", *, whole: bool = False, records_max: int = RECORDS_MAX
    ) -> list[BodyRecord]:
        """The records in a body, which is one itself where it is the `whole` of it; raises as `read_records` does."""
        return read_records(body, content_type, None if whole else self.pick, records_max)

    @property
    def has_challenge(self) -> bool:
        """Whether it knows requests that verify an address."""
        return self._challenge is not None

    def challenge(self, body: Any, request: dict[str, Any]) -> str | None:
        """What to answer to a request that verifies an address; None for any other. `body` is decoded, and whole.

        Raises:
            EventError: `mapping_failed`.
        """
        if self._challenge is None:
            return None
        row = body if isinstance(body, dict) else {}
        value = self._challenge.evaluate({**row, REQUEST_NAME: request})
        return value if isinstance(value, str) and value else None

    def known(self, record: Row, arrival: Arrival = FILED) -> Row:
        """What expressions see: the record, and of its arrival what they read."""
        if not self._reserved:
            return record
        received = None if arrival.received_us is None else format_time(arrival.received_us)
        extra = {REQUEST_NAME: arrival.request, RECEIVED_NAME: received}
        return {**record, **{name: extra[name] for name in self._reserved}}

    def takes(self, record: Row, arrival: Arrival = FILED) -> bool:
        """Whether the record is an event at all, by the mapping's `when`.

        Raises:
            EventError: `mapping_failed`.
        """
        if self._when is None:
            return True
        value = self._when.evaluate(self.known(record, arrival))
        return not (value is None or value is False or value in ("", [], {}))

    def apply(self, record: Row, arrival: Arrival = FILED) -> dict[str, Any]:
        """The event of a record, in structured form, ready to be encoded as JSON.

        Raises:
            EventError: `mapping_failed`, `no_usable_identifier` where it gives none; or `invalid_utf8` for a record
                that holds no Unicode text.
        """
        row = self.known(record, arrival)
        event: dict[str, Any] = {"specversion": SPEC_VERSION, "source": self.source}
        for key, leaf in self._attributes.items():
            value = _value(leaf, row)
            if value is not None:
                event[key] = str(value) if key == "id" and isinstance(value, int) else value
        self._assign_time(event, arrival)
        data = _value(self._data, row) or {}
        self._require(event, data, record)
        event[RAW_DIGEST] = _digest(self._functions.lasting(record))
        if isinstance(data.get("refs"), list):
            data["refs"] = [ref for ref in data["refs"] if _is_whole(ref)]
        event["data"] = data
        return event

    def _assign_time(self, event: dict[str, Any], arrival: Arrival) -> None:
        """Where the mapping takes no time from the record, that of its arrival stands, and the event says so."""
        if "time" not in self._attributes:
            if arrival.received_us is None:
                message = "the mapping leaves out event.time, and a row of a file has no time at which it was received"
                raise EventError(DeadCode.MAPPING_FAILED, message, "/time")
            event["time"] = format_time(arrival.received_us)
            event[TIME_ASSIGNED] = True
        elif self._reads_received and _is_time(event.get("time"), arrival.received_us):
            event[TIME_ASSIGNED] = True

    def _require(self, event: dict[str, Any], data: dict[str, Any], record: Row) -> None:
        """Refuse what the mapping makes nothing of, and say so in its words."""
        missing = [key for key in _REQUIRED_ATTRIBUTES if key not in event]
        if (missing or not data) and self.columns and self.columns.isdisjoint(record):
            names = ", ".join(sorted(self.columns)[:_NAMES_TOLD_MAX])
            message = f"the mapping yields nothing: the record has none of the fields that it reads, such as {names}"
            raise EventError(DeadCode.MAPPING_FAILED, message)
        for key in missing:
            raise EventError(DeadCode.MAPPING_FAILED, f"event.{key} yields nothing for this record", f"/{key}")
        if not data.get("identifiers"):
            message = "event.data.identifiers yields nothing for this record, so the event is nobody's"
            raise EventError(DeadCode.NO_USABLE_IDENTIFIER, message, "/data/identifiers")

    def encode(
        self, record: Row, arrival: Arrival = FILED, *, source: str | None = None, channel: str | None = None
    ) -> bytes:
        """The event of a record as structured-mode JSON.

        `source` and `channel` take the place of the mapping's, where several sources share one mapping.

        Raises:
            EventError: as `apply`.
        """
        try:
            event = self.apply(record, arrival)
            event |= {name: value for name, value in (("source", source), ("channel", channel)) if value is not None}
            return canonical_json(event)
        except UnicodeEncodeError:
            raise EventError(DeadCode.INVALID_UTF8, "half of a surrogate pair, which no UTF-8 can hold") from None
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise failed(f"the event can't be written as JSON: {error}") from None

    def _apart(self, text: str, place: str) -> Expression | None:
        """An expression that sees something else than a record."""
        return Expression(text, place, self._functions) if text else None

    def _compile(self, node: Any, place: str, depth: int) -> Any:
        """Objects and lists keep their shape, texts become expressions, other scalars stay what they are."""
        if depth > MAPPING_DEPTH_MAX:
            raise SettingError(f"{place}: nested deeper than {MAPPING_DEPTH_MAX} levels")
        if isinstance(node, str):
            expression = Expression(node, place, self._functions)
            self.expressions.append(expression)
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
        # Some codecs pack, turn letters or refuse everything: none of them makes text of bytes.
        _FOUR_NULLS.decode(given.encoding)
    except (LookupError, ValueError):
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


def _pick(records: Expression, body: Any) -> list[Any]:
    value = records.evaluate(body)
    if value is None:
        raise failed(f"input.records ({records.text}) yields nothing for this body")
    return value if isinstance(value, list) else [value]


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


def _is_time(value: Any, time_us: int | None) -> bool:
    try:
        return isinstance(value, str) and parse_time(value) == time_us
    except EventError:
        return False


def _is_whole(ref: Any) -> bool:
    """A reference whose id is an empty cell is left out; what is no object at all is for the checks to refuse."""
    return not isinstance(ref, dict) or ("kind" in ref and "id" in ref)


def _digest(lasting: Row) -> str:
    """The hash of the record as it was sent, so that a better mapping does not make a conflict of every old event."""
    return hashlib.blake2b(canonical_json(lasting), digest_size=_DIGEST_LENGTH_BYTES).hexdigest()
