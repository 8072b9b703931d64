"""YAML files that people write: read within bounds, strictly; errors name the file, the place and the nearest key.

YAML itself takes a key that stands twice and keeps the last, lets a few lines of aliases stand for billions of values,
and knows no end of nesting. `_verify` looks at what a file is made of before anything is made of it.
"""

import datetime as dt
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml

from schemas.errors import SettingError
from schemas.strict_json import UNREADABLE

FILE_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024
#: Keys and values of a file, those that an alias repeats counted each time.
NODES_MAX: Final = 200_000
#: Deeper than any file of ours, and shallow enough for what reads it.
DEPTH_MAX: Final = 64
# As msgspec chooses: the parser in C where there is one.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Shape = TypeVar("Shape", bound=msgspec.Struct)


def suggestion(word: str, known: Sequence[str]) -> str:
    """What the writer may have meant, as the end of a sentence."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"


def read_yaml_file(path: Path) -> bytes:
    """The file's content.

    Raises:
        SettingError: it can't be read, or is too large.
    """
    try:
        if path.stat().st_size > FILE_SIZE_BYTES_MAX:
            raise SettingError(f"{path}: larger than {FILE_SIZE_BYTES_MAX} bytes")
        return path.read_bytes()
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from error


def decode_yaml(
    content: bytes, shape: type[Shape], name: str, inner: Mapping[str, type[msgspec.Struct]] | None = None
) -> Shape:
    """The content in its shape.

    `inner` names the shapes below the top by how the place of an error starts, such as `.sources`, so that an unknown
    key is answered with the nearest one that may stand there.

    Raises:
        SettingError: no YAML, an unknown key, one that stands twice, or a wrong value; the message says what and where.
    """
    _verify(content, name)
    try:
        return msgspec.yaml.decode(content, type=shape)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        unnamed = place.removesuffix("`")
        place = _named_place(unnamed, content, shape)
        word = message.partition("unknown field `")[2].rstrip("`")
        if word:
            here: type[msgspec.Struct] = next(
                (found for start, found in (inner or {}).items() if unnamed.startswith(start)), shape
            )
            known = [field.encode_name for field in msgspec.structs.fields(here)]
            message = f"unknown key {word!r}{suggestion(word, known)}"
        place = place.strip(".")
        raise SettingError(f"{name}: {place + ': ' if place else ''}{message}") from None
    except UNREADABLE as error:
        raise SettingError(f"{name}: {_reason(error)}") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        # What looks like a time or a number and is none, such as 2026-99-99: the parser stumbles over it.
        reason = str(error) or type(error).__name__
        raise SettingError(f"{name}: a value can't be read ({reason}); put texts in quotes") from None


def _named_place(place: str, content: bytes, shape: type[msgspec.Struct]) -> str:
    """The place of an error with the name of the entry that it is in, which msgspec leaves out: `.sources[...]`."""
    top, hole, rest = place.partition("[...]")
    whole = msgspec.yaml.decode(content)
    entries = whole.get(top.removeprefix(".")) if hole and isinstance(whole, dict) else None
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            alone = {**whole, top.removeprefix("."): {name: entry}}
            msgspec.convert(alone, shape, builtin_types=(dt.datetime, dt.date))
        except msgspec.ValidationError:
            return f"{top}.{name}{rest}"
    return place


@dataclass
class _Container:
    """A list or mapping that is not at its end."""

    anchor: str | None
    is_mapping: bool
    children: int = 0
    #: Itself and all below.
    nodes: int = 1
    keys: set[str] = field(default_factory=set)


class _Verification:
    """Follows a file from its start to its end, and keeps what is open there and what aliases name."""

    def __init__(self) -> None:
        self._open: list[_Container] = []
        self._nodes_of: dict[str, int] = {}
        self._total = 0

    def follow(self, event: yaml.Event) -> None:
        """Go on by one event.

        Raises:
            _Refused: what is wrong with the file.
        """
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open.append(_Container(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            self._add(1)
            if len(self._open) > DEPTH_MAX:
                raise _Refused(f"nested deeper than {DEPTH_MAX} levels")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            done = self._open.pop()
            self._close(done.nodes, done.anchor)
        elif isinstance(event, yaml.ScalarEvent):
            self._verify_key(event.value)
            self._add(1)
            self._close(1, event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if any(container.anchor == event.anchor for container in self._open):
                raise _Refused(f"*{event.anchor} stands within itself")
            nodes = self._nodes_of.get(event.anchor or "", 1)
            self._add(nodes)
            self._close(nodes, None)

    def _add(self, nodes: int) -> None:
        self._total += nodes
        if self._total > NODES_MAX:
            raise _Refused(f"more than {NODES_MAX} keys and values, with what aliases repeat")

    def _close(self, nodes: int, anchor: str | None) -> None:
        if anchor is not None:
            self._nodes_of[anchor] = nodes
        if self._open:
            self._open[-1].children += 1
            self._open[-1].nodes += nodes

    def _verify_key(self, text: str) -> None:
        """Keys are compared as text, as all files of ours compare them; every second child of a mapping is one."""
        if not self._open or not self._open[-1].is_mapping or self._open[-1].children % 2:
            return
        keys = self._open[-1].keys
        if text in keys:
            raise _Refused(f"the key {text!r} stands twice")
        keys.add(text)


class _Refused(ValueError):
    """What is wrong at the line that was reached."""


def _verify(content: bytes, name: str) -> None:
    """Refuse what would be read otherwise than its writer meant, or never to an end.

    Raises:
        SettingError: no YAML, a key that stands twice, too many or too deep values.
    """
    verification = _Verification()
    try:
        for event in yaml.parse(content, Loader=_LOADER):
            try:
                verification.follow(event)
            except _Refused as refused:
                place = "" if event.start_mark is None else f"line {event.start_mark.line + 1}: "
                raise SettingError(f"{name}: {place}{refused}") from None
    except yaml.YAMLError as error:
        raise SettingError(f"{name}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What is wrong and where, without the parser's own name for what it was given."""
    # msgspec passes on what the parser says as its own error.
    error = error.__context__ if isinstance(error.__context__, yaml.YAMLError) else error
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        context = f" ({error.context})" if error.context else ""
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}{context}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"at position {error.position}: {error.reason}"
    return str(error)
