"""The fields of an event's `data` that mean something to every reader, typed and checked with exact pointers."""

import re
from typing import Any, Final, Literal, TypeVar

import msgspec

from schemas.errors import DeadCode, EventError
from schemas.strict_json import pointer_to

#: What a kind of identifier or group may have: a value, or several.
Named = str | int | list[str | int | None] | None

_Shape = TypeVar("_Shape")
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class EventRef(msgspec.Struct, frozen=True, gc=False):
    """What an event is about, as its producer wrote it."""

    kind: str
    id: str | int
    status: str | int | None = None


class EventData(msgspec.Struct, frozen=True, gc=False):
    """All are optional, and `null` is absent; what else `data` holds is the event's own."""

    #: Kind to value or values, of the event's subject alone.
    identifiers: dict[str, Named] | None = None
    #: Facts about the customer; a `null` withdraws one.
    traits: dict[str, Any] | None = None
    summary: str | None = None
    direction: Literal["in", "out", ""] | None = None
    session: str | int | None = None
    refs: list[EventRef] | None = None
    #: Channel to purpose to yes or no.
    permissions: dict[str, dict[str, bool] | None] | None = None
    groups: dict[str, Named] | None = None
    #: Other people in it: a callee, a gift's recipient. No evidence.
    parties: Any = None
    #: In events that give orders (`schemas.record_orders`) whom they are about besides the subject; else its own.
    other: Any = None
    #: False: the event says nothing about who is who.
    link: bool | None = None


def read_data(data: dict[str, Any]) -> EventData:
    """The known fields of a decoded `data`.

    Raises:
        EventError: `wrong_attribute`, pointing at the value of the wrong type.
    """
    return _convert(data, EventData, "/data")


def read_named(value: Any, name: str) -> dict[str, Named]:
    """Kinds with their values, of a member of `data` that has no type in other events; empty where it is absent.

    Raises:
        EventError: `wrong_attribute`, pointing at the value of the wrong type.
    """
    if value is None:
        return {}
    return _convert(value, dict[str, Named], pointer_to("/data", name))


def _convert(value: Any, shape: type[_Shape], pointer: str) -> _Shape:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        expectation, _, path = str(error).partition(" - at `$")
        raise EventError(DeadCode.WRONG_ATTRIBUTE, expectation, _pointer(value, path, shape, pointer)) from None


def _pointer(value: Any, path: str, shape: Any, pointer: str) -> str:
    """The JSON pointer of a path in msgspec's notation, in which `[...]` is a key that it does not name."""
    trail: list[str] = []
    node = value
    for name, place in _STEP.findall(path):
        key = name or place
        if isinstance(node, list):
            pointer, node = pointer_to(pointer, key), node[int(key)]
            continue
        if key == "...":
            key = next((each for each in node if _is_wrong(trail, {each: node[each]}, shape)), "")
            if key not in node:
                break
        trail.append(key)
        pointer, node = pointer_to(pointer, key), node[key]
    return pointer


def _is_wrong(trail: list[str], leaf: Any, shape: Any) -> bool:
    for key in reversed(trail):
        leaf = {key: leaf}
    try:
        msgspec.convert(leaf, shape)
    except msgspec.ValidationError:
        return True
    return False
