"""Records out of a body: what a webhook posts, or a system writes to Kafka, taken apart before it is mapped.

A body is a JSON object, an array of objects, JSON lines, or a form; `input.records` of the mapping may pick the
records out of it. What is wrong with one record is its own fault: the others are read.
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from schemas.errors import DeadCode, EventError
from schemas.limits import EVENT_SIZE_BYTES_MAX, NESTING_DEPTH_MAX
from schemas.mapping_expression import Row
from schemas.media_types import FORM_TYPE, JSON_LINES_TYPE, JSON_TYPE, media_type_of
from schemas.strict_json import UNREADABLE, canonical_json, read_json, reject_null_byte

_JSON_LINES_TYPES: Final = frozenset({JSON_LINES_TYPE, "application/ndjson", "application/jsonl"})
#: Records of one body; each becomes an event or a dead letter.
RECORDS_MAX: Final = 1000
# Far more than any form has; each costs an object.
_FORM_FIELDS_MAX: Final = 1000
# Records that are picked out of a body lie deeper than those that are one.
_BODY_DEPTH_MAX: Final = 2 * NESTING_DEPTH_MAX
# What a body as a whole is refused for: there is nothing in it that could be set aside as a record.
_NO_BODY_CODES: Final = frozenset({DeadCode.NOT_JSON, DeadCode.INVALID_UTF8})

#: Gives the records in a decoded body; raises EventError where it finds none.
Pick = Callable[[Any], list[Any]]


class BodyUnreadable(EventError):
    """The body as a whole is no JSON and no form. Correct what sends it; there is no record in it to set aside."""


class TooManyRecords(EventError):
    """One body holds more records than are taken at once. Send it in parts."""

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(DeadCode.RECORD_TOO_LARGE, f"{size} records in one body, at most {size_max} are taken")
        self.size = size


class BodyRecord(NamedTuple):
    """One record of a body."""

    #: As it was sent; as JSON of ours where it does not stand by itself in the body.
    original: bytes
    #: The media type of `original`.
    media_type: str
    fields: Row
    #: What makes it a bad one.
    error: EventError | None = None
    #: It was picked out by `input.records`, which is not to be asked again.
    picked: bool = False


def _read_as(content_type: str) -> str:
    """How a body is read: as a form, as lines of JSON, or as JSON, whatever else it may be called."""
    media_type = media_type_of(content_type)
    if media_type == FORM_TYPE:
        return FORM_TYPE
    return JSON_LINES_TYPE if media_type in _JSON_LINES_TYPES else JSON_TYPE


def read_records(
    body: bytes, content_type: str = "", pick: Pick | None = None, records_max: int = RECORDS_MAX
) -> list[BodyRecord]:
    """The records of a body, good and bad ones, in their order. The caller bounds the body.

    Raises:
        BodyUnreadable: it is no JSON, and no form.
        TooManyRecords: it has more than `records_max`.
    """
    media_type = _read_as(content_type)
    # Some systems put a byte order mark before what they send; it is no JSON.
    body = body.removeprefix(BOM_UTF8)
    parts = _parts(body, media_type, pick)
    _reject_many(len(parts), records_max)
    kind = FORM_TYPE if media_type == FORM_TYPE else JSON_TYPE
    records: list[BodyRecord] = []
    for part in parts:
        records += [_record(part, kind)] if pick is None else _picked(part, kind, pick)
        _reject_many(len(records), records_max)
    if media_type != JSON_TYPE or len(parts) == 1:
        errors = [record.error for record in records]
        if errors and all(error is not None and error.code in _NO_BODY_CODES for error in errors):
            first: Any = errors[0]
            raise BodyUnreadable(first.code, first.message, first.pointer)
    return records


def _parts(body: bytes, media_type: str, pick: Pick | None) -> list[bytes]:
    """What stands by itself in a body: all of it, its lines, or the elements of an array."""
    if media_type == JSON_LINES_TYPE:
        return [line for line in body.splitlines() if line.strip()]
    if media_type == JSON_TYPE and pick is None and body.lstrip()[:1] == b"[":
        try:
            return [bytes(piece) for piece in msgspec.json.decode(body, type=list[msgspec.Raw])]
        except UNREADABLE:
            # Why it is none is for whoever reads the whole to say.
            return [body]
    return [body]


def _record(part: bytes, media_type: str) -> BodyRecord:
    try:
        if len(part) > EVENT_SIZE_BYTES_MAX:
            raise _too_large(len(part))
        return BodyRecord(part, media_type, _object(_read(part, media_type, NESTING_DEPTH_MAX)))
    except EventError as error:
        return BodyRecord(part, media_type, {}, error)


def _picked(part: bytes, media_type: str, pick: Pick) -> Iterable[BodyRecord]:
    try:
        values = pick(_read(part, media_type, _BODY_DEPTH_MAX))
    except EventError as error:
        return [BodyRecord(part, media_type, {}, error)]
    return map(_picked_record, values)


def _picked_record(value: Any) -> BodyRecord:
    original = b""
    try:
        original = canonical_json(value)
        if len(original) > EVENT_SIZE_BYTES_MAX:
            raise _too_large(len(original))
        return BodyRecord(original, JSON_TYPE, _object(value), picked=True)
    except EventError as error:
        return BodyRecord(original, JSON_TYPE, {}, error, picked=True)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        unwritable = EventError(DeadCode.MAPPING_FAILED, f"input.records gives what is no JSON: {type(error).__name__}")
        return BodyRecord(original, JSON_TYPE, {}, unwritable, picked=True)


def _read(part: bytes, media_type: str, depth_max: int) -> Any:
    return _read_form(part) if media_type == FORM_TYPE else read_json(part, depth_max=depth_max)


def _read_form(body: bytes) -> Row:
    """The fields of a form: texts, or lists of texts where a name comes more than once."""
    try:
        fields = parse_qsl(
            body.decode().strip(), keep_blank_values=True, errors="strict", max_num_fields=_FORM_FIELDS_MAX
        )
    except UnicodeDecodeError as error:
        raise EventError(DeadCode.INVALID_UTF8, f"the form is not UTF-8: {error.reason}") from None
    except ValueError:
        raise EventError(DeadCode.RECORD_TOO_LARGE, f"a form of more than {_FORM_FIELDS_MAX} fields") from None
    if b"=" not in body or not fields:
        raise EventError(DeadCode.NOT_JSON, "the body is declared as a form and has no field")
    form: Row = {}
    for name, value in fields:
        for text in (name, value):
            reject_null_byte(text, "")
        if name not in form:
            form[name] = value
        elif isinstance(form[name], list):
            form[name].append(value)
        else:
            form[name] = [form[name], value]
    return form


def _object(value: Any) -> Row:
    if isinstance(value, dict):
        return value
    raise EventError(DeadCode.NOT_AN_OBJECT, "a record to be mapped is a JSON object")


def _too_large(size_bytes: int) -> EventError:
    message = f"a record of {size_bytes} bytes, at most {EVENT_SIZE_BYTES_MAX} are taken"
    return EventError(DeadCode.RECORD_TOO_LARGE, message)


def _reject_many(size: int, size_max: int) -> None:
    if size > size_max:
        raise TooManyRecords(size, size_max)
