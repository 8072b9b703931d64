"""Raw CloudEvents to plain records: each distinct event once, identifiers normalised, grade and rank looked up."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.oracle.kinds import GRADES, GROUP_KINDS, NO_KINDS, Identifier, normalised, row
from bench.oracle.orders import FORBID, REQUIRE, PlainOrder

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US: Final = 86_400_000_000
#: What a system of record orders by events of these types.
_REPLACED: Final = "identity.replaced"
_VERBS: Final = {"identity.merged": REQUIRE, "identity.removed": FORBID, _REPLACED: REQUIRE}


@dataclass(frozen=True, slots=True)
class PlainEvent:
    """One distinct event, read."""

    source: str
    id: str
    type: str
    #: Microseconds since 1970, UTC.
    time: int
    channel: str
    rank: int
    grade: int
    #: Strongest first; the first is the one that the event counts for.
    identifiers: tuple[Identifier, ...]
    #: Whether its identifiers are evidence of each other.
    link: bool
    #: (kind, value) of the groups that it names.
    groups: tuple[tuple[str, str], ...]
    data: dict[str, Any]
    #: What a system of record orders by it.
    orders: tuple[PlainOrder, ...] = ()

    @property
    def order(self) -> tuple[int, str, str]:
        """The order of lists: by time, source and id."""
        return (self.time, self.source, self.id)

    @property
    def age(self) -> tuple[int, int, str, str]:
        """The order of registers: by time, rank, source and id."""
        return (self.time, self.rank, self.source, self.id)


def read_events(events: Iterable[Mapping[str, Any]], sources: Mapping[str, Mapping[str, Any]]) -> list[PlainEvent]:
    """All distinct events that have an identifier to go by; of copies the first stands, all being alike.

    Raises:
        ValueError: two events have one source and id but differ, so that which of them stands depends on arrival.
    """
    distinct: dict[tuple[str, str], Mapping[str, Any]] = {}
    for event in events:
        first = distinct.setdefault((event["source"], event["id"]), event)
        if first is not event and first != event:
            raise ValueError(f"event {event['id']} of {event['source']} comes with two contents")
    plain = [_read(event, sources.get(event["source"], {})) for event in distinct.values()]
    return [event for event in plain if event.identifiers]


def _read(event: Mapping[str, Any], source: Mapping[str, Any]) -> PlainEvent:
    grades = source.get("grades", {})
    data = event.get("data") or {}
    groups: set[tuple[str, str]] = {(kind, text) for kind, text in _named(data.get("identifiers", {}), group=True)}
    identifiers = identifiers_in(data.get("identifiers", {}))
    for kind, value in data.get("groups", {}).items():
        for one in value if isinstance(value, list) else [value]:
            groups.add((kind, one.strip()))
    return PlainEvent(
        source=event["source"],
        id=event["id"],
        type=event["type"],
        time=read_time(event["time"]),
        channel=event.get("channel") or source["channel"],
        rank=source.get("rank", 0),
        grade=GRADES[grades[event["type"]] if event["type"] in grades else grades.get("*", "claimed")],
        identifiers=identifiers,
        link=data.get("link", True) is not False,
        groups=tuple(sorted(groups)),
        data=dict(data),
        orders=_orders(event, identifiers) if data.get("link", True) is not False else (),
    )


def _orders(event: Mapping[str, Any], identifiers: tuple[Identifier, ...]) -> tuple[PlainOrder, ...]:
    """What a record event orders: of its strongest identifier and each of the others that it names."""
    verb = _VERBS.get(event["type"])
    if verb is None or not identifiers:
        return ()
    time = read_time(event["time"])
    replaced = event["type"] == _REPLACED
    return tuple(
        PlainOrder(
            event["id"], event["source"], time, False, verb, (identifiers[0], other), former=other if replaced else None
        )
        for other in identifiers_in(event["data"]["other"])
    )


def _named(given: Mapping[str, Any], *, group: bool = False) -> Iterator[Identifier]:
    """The identifiers, or the groups, among kinds and their values."""
    for kind, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            text = normalised(kind, one)
            if text and kind not in NO_KINDS and (kind in GROUP_KINDS) == group:
                yield Identifier(kind, text)


def identifiers_in(given: Mapping[str, Any]) -> tuple[Identifier, ...]:
    """The usable identifiers among kinds and their values, the strongest first."""
    return tuple(sorted(set(_named(given)), key=lambda one: (row(one.kind).place, one.kind, one.value)))


def read_time(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time; finer digits are cut."""
    short = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
    return (datetime.fromisoformat(short) - _EPOCH) // timedelta(microseconds=1)


def written_time(time_us: int) -> str:
    """RFC 3339 in UTC with as many digits of the second as are needed: none, three or six."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    digits = "seconds" if time_us % 1_000_000 == 0 else "milliseconds" if time_us % 1000 == 0 else "microseconds"
    return moment.isoformat(timespec=digits).replace("+00:00", "Z")


def canonical(value: Any) -> str:
    """JSON with sorted keys, to compare values by."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
