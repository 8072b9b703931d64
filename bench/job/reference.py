"""What must come of the job: documents and interactions by plain dictionaries, written from the description alone.

It shares no code with any engine, keeps everything, and folds each event once: the order of arrival says nothing here.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

RECENT_MAX: Final = 10
DIGEST_SIZE_BYTES: Final = 8
_RECENT_FIELDS: Final = ("id", "source", "type", "time", "channel", "summary", "direction")
_INTERACTION_FIELDS: Final = ("id", "source", "type", "time", "channel", "summary", "direction", "data")
_CANONICAL: Final = msgspec.json.Encoder(order="sorted")

#: An event is known by its source and its id.
EventName = tuple[str, str]
# What orders events everywhere.
_Order = tuple[datetime, str, str]


class Expectation(NamedTuple):
    """What an engine must have written in the end."""

    #: By customer: the canonical bytes of the document.
    documents: dict[str, bytes]
    #: By event: the digest of the interaction, without its customer, and whose it is.
    interactions: dict[EventName, tuple[bytes, str]]


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no white space: equal values give equal bytes."""
    return _CANONICAL.encode(value)


def interaction_digest(fields: dict[str, Any]) -> bytes:
    """What an interaction says, in short; an absent field and one that is null say the same."""
    said = {name: fields[name] for name in _INTERACTION_FIELDS if fields.get(name) is not None}
    return hashlib.blake2b(canonical(said), digest_size=DIGEST_SIZE_BYTES).digest()


class Customer:
    """One customer's document as it grows."""

    def __init__(self, customer: str) -> None:
        self._customer = customer
        self._traits: dict[str, tuple[_Order, dict[str, Any]]] = {}
        self._tallies: dict[str, dict[str, list[datetime]]] = {"channels": {}, "types": {}}
        self._days: dict[str, dict[str, int]] = {}
        self._last: dict[str, tuple[_Order, dict[str, Any]]] = {}
        self._all: list[tuple[_Order, dict[str, Any]]] = []

    def take(self, event: dict[str, Any]) -> None:
        """Fold an event that was not taken before."""
        moment = read_time(event["time"])
        order = (moment, event["source"], event["id"])
        for name, value in event.get("traits", {}).items():
            if name not in self._traits or order > self._traits[name][0]:
                told = {"value": value, "time": event["time"], "source": event["source"], "event": event["id"]}
                self._traits[name] = (order, told)
        self._tallies["channels"].setdefault(event["channel"], []).append(moment)
        self._tallies["types"].setdefault(event["type"], []).append(moment)
        day = self._days.setdefault(moment.date().isoformat(), {})
        day[event["channel"]] = day.get(event["channel"], 0) + 1
        direction = event.get("direction")
        if direction and (direction not in self._last or order > self._last[direction][0]):
            touch = {"time": event["time"], "channel": event["channel"], "summary": event.get("summary", "")}
            self._last[direction] = (order, touch)
        self._all.append((order, {name: event[name] for name in _RECENT_FIELDS if name in event}))

    def document(self) -> dict[str, Any]:
        """The document as it is now."""
        newest_first = sorted(self._all, key=lambda each: each[0], reverse=True)
        return {
            "customer": self._customer,
            "traits": {name: told for name, (_, told) in self._traits.items()},
            **{name: {key: _tally(moments) for key, moments in of.items()} for name, of in self._tallies.items()},
            "days": self._days,
            "last": {way: self._last[way][1] if way in self._last else None for way in ("in", "out")},
            "interactions": {
                "count": len(newest_first),
                "first": newest_first[-1][1]["time"],
                "last": newest_first[0][1]["time"],
                "recent": [recent for _, recent in newest_first[:RECENT_MAX]],
            },
        }


def expect(events: Iterable[tuple[str, dict[str, Any]]]) -> Expectation:
    """What must come of these events, each with its customer; copies may be among them."""
    customers: dict[str, Customer] = {}
    interactions: dict[EventName, tuple[bytes, str]] = {}
    for customer, event in events:
        name = (event["source"], event["id"])
        if name in interactions:
            continue
        interactions[name] = (interaction_digest(event), customer)
        if customer not in customers:
            customers[customer] = Customer(customer)
        customers[customer].take(event)
    return Expectation({key: canonical(each.document()) for key, each in customers.items()}, interactions)


def read_time(text: str) -> datetime:
    """The moment of an RFC 3339 time in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def write_time(moment: datetime) -> str:
    """RFC 3339 in UTC with none, three or six digits of the second: as few as say it."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if moment.microsecond:
        digits = f"{moment.microsecond:06d}"
        text += "." + (digits[:3] if digits.endswith("000") else digits)
    return text + "Z"


def _tally(moments: list[datetime]) -> dict[str, Any]:
    return {"interactions": len(moments), "first": write_time(min(moments)), "last": write_time(max(moments))}
