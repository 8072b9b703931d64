"""The fields of an event's `data` that mean something to every reader, typed and checked with exact pointers."""

import re
from typing import Any, Final, Literal

import msgspec

from schemas.errors import DeadCode, EventError
from schemas.strict_json import pointer_to

_STEP: Final = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class EventRef(msgspec.Struct, frozen=True, gc=False):
    """What an event is about, as its producer wrote it."""

    kind: str
    id: str | int
    status: str | int | None = None


class EventData(msgspec.Struct, frozen=True, gc=False):
    """All are optional, and `null` is absent; what else `data` holds is the event's own."""

    #: Kind to value or values, of the event's subject alone.
    identifiers: dict[str, str | int | list[str | int | None] | None] | None = None
    #: Facts about the customer; a `null` withdraws one.
    traits: dict[str, Any] | None = None
    summary: str | None = None
    direction: Literal["in", "out", ""] | None = None
    session: str | int | None = None
    refs: list[EventRef] | None = None
    #: Channel to purpose to yes or no.
    permissions: dict[str, dict[str, bool] | None] | None = None
    groups: dict[str, str | int | list[str | int | None] | None] | None = None
    #: Other people in it: a callee, a gift's recipient. No evidence.
    parties: Any = None
    #: False: the event says nothing about who is who.
    link: bool | None = None


def read_data(data: dict[str, Any]) -> EventData:
    """The known fields of a decoded `data`.

    Raises:
        EventError: `wrong_attribute`, pointing at the value of the wrong type.
    """
    try:
        return msgspec.convert(data, EventData)
    except msgspec.ValidationError as error:
        expectation, _, path = str(error).partition(" - at `$")
        raise EventError(DeadCode.WRONG_ATTRIBUTE, expectation, _pointer(data, path)) from None


def _pointer(data: dict[str, Any], path: str) -> str:
    """The JSON pointer of a path in msgspec's notation, in which `[...]` is a key that it does not name."""
    pointer = "/data"
    trail: list[str] = []
    node: Any = data
    for name, place in _STEP.findall(path):
        key = name or place
        if isinstance(node, list):
            pointer, node = pointer_to(pointer, key), node[int(key)]
            continue
        if key == "...":
            key = next((each for each in node if _is_wrong(trail, {each: node[each]})), "")
            if key not in node:
                break
        trail.append(key)
        pointer, node = pointer_to(pointer, key), node[key]
    return pointer


def _is_wrong(trail: list[str], leaf: Any) -> bool:
    for key in reversed(trail):
        leaf = {key: leaf}
    try:
        msgspec.convert(leaf, EventData)
    except msgspec.ValidationError:
        return True
    return False
