"""The records of one request through a lenient door, sorted: events that may be written, and those to be set aside."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from connectors.collect.event_gate import AcceptedEvent
from schemas.errors import EventError
from schemas.topics import Header

# A record takes a third of a millisecond; other requests are answered between so many.
_RECORDS_AT_ONCE: Final = 32

_Record = TypeVar("_Record")


class SetAside(NamedTuple):
    """A record that a lenient door could not take."""

    error: EventError
    #: Its own bytes, not those of the body around it.
    original: bytes
    #: Where it came from, such as `segment:shop-web`; no personal data.
    origin: str
    #: What has to be known to read the original, such as its content type.
    headers: tuple[Header, ...] = ()


@dataclass
class Sorted:
    """What became of the records of one request; a strict door has nothing but accepted ones."""

    accepted: list[AcceptedEvent] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    #: Left out on purpose, by the `when` of a mapping.
    skipped: int = 0


async def sort(
    records: Iterable[_Record],
    judge: Callable[[_Record], AcceptedEvent | None],
    set_aside: Callable[[_Record, EventError], SetAside],
) -> Sorted:
    """Judge every record.

    Args:
        records: What came, bounded by its door.
        judge: Makes an event of a record, None of one that is left out; raises EventError for one that is none.
        set_aside: Keeps what the error was raised for.
    """
    outcome = Sorted()
    for place, record in enumerate(records, start=1):
        if place % _RECORDS_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            event = judge(record)
        except EventError as error:
            outcome.aside.append(set_aside(record, error))
            continue
        if event is None:
            outcome.skipped += 1
        else:
            outcome.accepted.append(event)
    return outcome
