"""JSON as we take it in: bounded in depth, free of null bytes, readable by everybody; and as we write it: canonical.

`read_json` answers every input with a value or an `EventError`. What is wrong is looked for only after the fast path
found that something may be, so a good event pays a count and two searches over its bytes.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.errors import DeadCode, EventError
from schemas.limits import NESTING_DEPTH_MAX

# A longer key is the event's fault too, but a pointer that carries it would be no help and no small header.
_POINTER_TOKEN_LENGTH_MAX: Final = 128
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")

#: What msgspec raises at bytes that it can't read, whatever the format: texts may be no UTF-8, nesting has no end.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def canonical_json(value: Any) -> bytes:
    """Compact JSON with sorted keys: equal values give equal bytes."""
    return _ENCODER.encode(value)


def pointer_to(pointer: str, token: str | int) -> str:
    """The JSON pointer of a child, or of the parent where the child's name can't be shown."""
    text = str(token)
    if len(text) > _POINTER_TOKEN_LENGTH_MAX or "\0" in text:
        return pointer
    return f"{pointer}/{text.replace('~', '~0').replace('/', '~1')}"


def read_json(body: bytes, pointer: str = "", depth_max: int = NESTING_DEPTH_MAX) -> Any:
    """The value of a JSON text. `pointer` is where the text stands in the event.

    Raises:
        EventError: `not_json`, `invalid_utf8`, `nesting_too_deep` or `null_byte`.
    """
    try:
        value = _DECODER.decode(body)
    except RecursionError:
        raise _too_deep(pointer, depth_max) from None
    except UNREADABLE as error:
        raise _unreadable(body, error, pointer) from None
    # Fewer brackets than levels can't nest too deep, however they stand. One byte is found at the speed of memory, so
    # that looking for a rare one first is worth while: most events have no array, and many no backslash.
    if body.count(b"{") + (body.count(b"[") if b"[" in body else 0) > depth_max:
        for place, node, depth in _nodes(value, pointer):
            if depth > depth_max and isinstance(node, (dict, list)):
                raise _too_deep(place, depth_max)
    if b"\\" in body and b"\\u0000" in body:
        for place, node, _ in _nodes(value, pointer):
            reject_null_byte(node, place)
            if isinstance(node, dict) and any("\0" in key for key in node):
                raise EventError(DeadCode.NULL_BYTE, "a key holds a null byte", place)
    return value


def reject_null_byte(value: object, pointer: str) -> None:
    """Refuse a text that holds one: databases and C programs downstream would cut it there.

    Raises:
        EventError: `null_byte`.
    """
    if isinstance(value, str) and "\0" in value:
        raise EventError(DeadCode.NULL_BYTE, "the text holds a null byte", pointer)


def _nodes(value: Any, pointer: str) -> Iterator[tuple[str, Any, int]]:
    """Every value with its pointer and its depth, parents first; containers count from 1. Needs no recursion."""
    waiting = [(pointer, value, 1)]
    while waiting:
        place, node, depth = waiting.pop()
        yield place, node, depth
        if isinstance(node, dict):
            waiting.extend((pointer_to(place, key), child, depth + 1) for key, child in node.items())
        elif isinstance(node, list):
            waiting.extend((pointer_to(place, index), child, depth + 1) for index, child in enumerate(node))


def _too_deep(pointer: str, depth_max: int) -> EventError:
    return EventError(DeadCode.NESTING_TOO_DEEP, f"nested deeper than {depth_max} levels", pointer)


def _unreadable(body: bytes, error: Exception, pointer: str) -> EventError:
    try:
        text = body.decode()
    except UnicodeDecodeError as broken:
        message = f"not UTF-8: {broken.reason} at byte {broken.start}"
        return EventError(DeadCode.INVALID_UTF8, message, pointer)
    if "\0" in text:
        return EventError(DeadCode.NULL_BYTE, f"null byte at character {text.index(chr(0))}", pointer)
    try:
        # The standard library takes surrogates as they come, so it tells them from other faults.
        if _LONE_SURROGATE.search(json.dumps(json.loads(text), ensure_ascii=False)):
            return EventError(DeadCode.INVALID_UTF8, "half of a surrogate pair, which no UTF-8 can hold", pointer)
    except (ValueError, RecursionError):
        pass
    return EventError(DeadCode.NOT_JSON, f"not JSON: {error}", pointer)
