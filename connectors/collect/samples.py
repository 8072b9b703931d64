"""Records of a sample file, as each way in would find them: a body that a tool posts, or the rows of a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from connectors.collect.files_rows import FileRows
from schemas.errors import DeadCode, EventError, SettingError, UsageError
from schemas.mapping import Mapping
from schemas.media_types import FORM_TYPE, JSON_TYPE

#: What is posted at once; a file of rows has no bound.
BODY_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024
FORMATS: Final = ("csv", "form", "json", "jsonl")
_FORMAT_OF: Final = {
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".form": "form",
}  # fmt: skip


class SampleRecord(NamedTuple):
    """One record of a sample."""

    #: Its line in a file of rows, else its place in the body; from 1.
    place: int
    fields: dict[str, Any]
    error: EventError | None


def format_of(path: Path, given: str | None) -> str:
    """The format of a sample: the one given, or the one that its name tells.

    Raises:
        UsageError: it is none of FORMATS, or the name tells none.
    """
    found = given or _FORMAT_OF.get(path.suffix.lower())
    if found not in FORMATS:
        raise UsageError(f"{path}: say how it is written, --format {'|'.join(FORMATS)}")
    return found


def read_sample(path: Path, written: str, mapping: Mapping) -> Iterator[SampleRecord]:
    """The records of a sample, in their order.

    Raises:
        UsageError: there is no such file, or it is no body of this format.
        SettingError: it does not fit the mapping: its header, its encoding.
    """
    try:
        if written in {"csv", "jsonl"}:
            yield from _rows(path, written, mapping)
        else:
            yield from _body(path, written, mapping)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def _rows(path: Path, written: str, mapping: Mapping) -> Iterator[SampleRecord]:
    layout = msgspec.structs.replace(mapping.input, format=written)
    required = mapping.columns if mapping.pick is None else frozenset[str]()
    for row in FileRows(path, layout).read(required):
        if row.error is not None or mapping.pick is None:
            yield SampleRecord(row.line, row.fields, row.error)
            continue
        try:
            records = mapping.pick(row.fields)
        except EventError as error:
            yield SampleRecord(row.line, {}, error)
            continue
        for record in records:
            whole = isinstance(record, dict)
            yield SampleRecord(row.line, record if whole else {}, None if whole else _no_object())


def _no_object() -> EventError:
    return EventError(DeadCode.NOT_AN_OBJECT, "a record to be mapped is a JSON object")


def _body(path: Path, written: str, mapping: Mapping) -> Iterator[SampleRecord]:
    if path.stat().st_size > BODY_SIZE_BYTES_MAX:
        raise UsageError(f"{path}: larger than {BODY_SIZE_BYTES_MAX} bytes, which no tool posts at once")
    try:
        found = mapping.body_records(path.read_bytes(), FORM_TYPE if written == "form" else JSON_TYPE)
    except EventError as error:
        raise UsageError(f"{path}: read as {written}: {error.message}") from error
    for place, record in enumerate(found, start=1):
        yield SampleRecord(place, record.fields, record.error)


def verify_time(mapping: Mapping, written: str) -> None:
    """Refuse a mapping that takes no time from the rows of a file, as an import does.

    Raises:
        SettingError: naming the key.
    """
    if written == "csv" and mapping.leaves_out_time:
        raise SettingError("event.time is left out: rows of a CSV file have no other time than one that they hold")
