"""What a context has to say, computed from whole lists of events at once, by other code than the fold and the join.

It holds for small histories only: nothing here is bounded but the recent interactions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from schemas.identifiers import DEFAULT_NAMESPACE, Identifier
from schemas.messages import RoutedEvent

GRADES = {1: "claimed", 2: "login", 3: "record"}
IDENTIFYING = ("crm", "account", "email")
MEDIUM = ("loyalty", "social", "phone")
WEAK = ("device", "cookie")


class Place(NamedTuple):
    """Where identity put a fragment at last."""

    identifier: Identifier
    owner: Identifier
    state: str
    grade: int
    first: int
    last: int
    former: bool = False


def text(time_us: int) -> str:
    """RFC 3339; times of tests are whole seconds."""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def _text_or_none(time_us: int | None) -> str | None:
    return None if time_us is None else text(time_us)


def expected_document(
    home: Place, members: Iterable[Place], events: dict[Identifier, list[RoutedEvent]]
) -> dict[str, Any] | None:
    """The document but for customer, version and settling; None for a customer without events."""
    places = [home, *members]
    own = {place.identifier: events.get(place.identifier, []) for place in places}
    everything = [event for each in own.values() for event in each]
    if not everything:
        return None
    kinds = {event.target: place.identifier.kind for place in places for event in own[place.identifier]}
    resting = [place for place in places if place.state != "attached"]
    resting_events = [event for place in resting for event in own[place.identifier]]
    attached_events = [event for place in places if place.state == "attached" for event in own[place.identifier]]
    shared = home.state == "shared"
    told = [] if shared else [resting_events, attached_events]
    newest = sorted(everything, key=lambda event: (event.time, event.source, event.id), reverse=True)

    def via(event: RoutedEvent) -> dict[str, str]:
        return {"via": kinds[event.target]} if event in attached_events else {}

    document: dict[str, Any] = {
        "realm": "default",
        "identity": {
            "level": "shared" if shared else _level(resting, own),
            "strongest": min((place.identifier.kind for place in resting), key=(*IDENTIFYING, *MEDIUM, *WEAK).index),
        },
        "identifiers": [] if shared else _identifiers(places, own),
        "traits": _traits(told, via, [place.identifier for place in places if place.former]),
        "permissions": _permissions(told, via),
        "channels": _tallies(everything, lambda event: event.channel),
        "types": _tallies(everything, lambda event: event.type),
        "days": _days(everything),
        "refs": _refs(told, via),
        "groups": {},
        "last": {
            way: None
            if shared
            else next(
                (
                    {"time": text(event.time), "channel": event.channel, "summary": event.summary, **via(event)}
                    for event in newest
                    if event.direction == way
                ),
                None,
            )
            for way in ("in", "out")
        },
        "interactions": {
            "count": len(everything),
            "first": text(newest[-1].time),
            "last": text(newest[0].time),
            "recent": [] if shared else [_line(event) | via(event) for event in newest[:10]],
        },
    }
    _groups(document, told, kinds)
    return document


def _level(resting: list[Place], own: dict[Identifier, list[RoutedEvent]]) -> str:
    for place in resting:
        best = max([place.grade, *(event.grade for event in own[place.identifier] if place.state == "home")])
        if place.identifier.kind in IDENTIFYING and (place.state == "joined" or best >= 2):
            return "identified"
    strong = any(place.identifier.kind in (*IDENTIFYING, *MEDIUM) for place in resting)
    return "recognised" if strong else "anonymous"


def _identifiers(places: list[Place], own: dict[Identifier, list[RoutedEvent]]) -> list[dict[str, Any]]:
    shown = []
    order = (*IDENTIFYING, *MEDIUM, *WEAK).index
    for place in sorted(places, key=lambda place: (order(place.identifier.kind), place.former, place.identifier.value)):
        events = own[place.identifier]
        times = [event.time for event in events]
        grade = max([place.grade, *(event.grade for event in events)]) if place.state == "home" else place.grade
        known = [] if place.first < 0 else [place.first]
        shown.append(
            {
                "kind": place.identifier.kind,
                "value": place.identifier.value,
                "grade": GRADES[grade or 1],
                "role": place.state,
                "first": _text_or_none(min(times + known, default=None)),
                "last": _text_or_none(max(times + known + ([] if place.last < 0 else [place.last]), default=None)),
                "status": "former" if place.former else "current",
            }
            | ({} if place.identifier.namespace == DEFAULT_NAMESPACE else {"namespace": place.identifier.namespace})
        )
    return shown


def _age(event: RoutedEvent) -> tuple[int, int, str, str]:
    return (event.time, event.rank, event.source, event.id)


def _order(event: RoutedEvent) -> tuple[int, str, str]:
    return (event.time, event.source, event.id)


def _traits(
    told: list[list[RoutedEvent]], via: Callable[[RoutedEvent], dict[str, str]], formers: list[Identifier]
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    taken: set[str] = set()
    for events in told:
        names = {name for event in events for name in event.traits} - taken
        taken |= names
        for name in names:
            about = [event for event in events if name in event.traits]
            if name in ("email", "phone"):
                about = _in_use(name, about, formers)
            newest = max(about, key=_age)
            best = max(about, key=lambda event: (event.grade, _age(event))) if name in ("email", "phone") else newest
            if best.traits[name] == b"null":
                continue
            shown[name] = _said(best, name) | via(best) | _grade(best, name)
            if newest is not best and newest.traits[name] != best.traits[name]:
                shown[name]["newer_claim"] = _said(newest, name) | via(newest) | _grade(newest, name)
    return shown


def _in_use(name: str, about: list[RoutedEvent], formers: list[Identifier]) -> list[RoutedEvent]:
    """Of what each fragment keeps, its newest and its best, that which says no former identifier, if there is any."""
    kept = []
    for target in {event.target for event in about}:
        own = [event for event in about if event.target == target]
        kept += [max(own, key=_age), max(own, key=lambda event: (event.grade, _age(event)))]
    outdated = {b'"%b"' % former.value.encode() for former in formers if former.kind == name}
    return [event for event in kept if event.traits[name] not in outdated] or kept


def _grade(event: RoutedEvent, name: str) -> dict[str, str]:
    return {"grade": GRADES[event.grade]} if name in ("email", "phone") else {}


def _said(event: RoutedEvent, name: str) -> dict[str, Any]:
    value = msgspec.json.decode(event.traits[name])
    return {"value": value, "time": text(event.time), "source": event.source, "event": event.id}


def _permissions(told: list[list[RoutedEvent]], via: Callable[[RoutedEvent], dict[str, str]]) -> dict[str, Any]:
    shown: dict[str, Any] = defaultdict(dict)
    taken: set[tuple[str, str]] = set()
    for events in told:
        said: dict[tuple[str, str], RoutedEvent] = {}
        for event in sorted(events, key=_age):
            said |= {(channel, purpose): event for channel, each in event.permissions.items() for purpose in each}
        for (channel, purpose), event in said.items():
            if (channel, purpose) not in taken:
                fields = {"time": text(event.time), "source": event.source, "event": event.id}
                shown[channel][purpose] = {"value": event.permissions[channel][purpose]} | fields | via(event)
        taken |= said.keys()
    return dict(shown)


def _refs(told: list[list[RoutedEvent]], via: Callable[[RoutedEvent], dict[str, str]]) -> list[dict[str, Any]]:
    shown: list[tuple[Any, dict[str, Any]]] = []
    taken: set[tuple[str, str]] = set()
    for events in told:
        said: dict[tuple[str, str], tuple[RoutedEvent, str]] = {}
        for event in sorted(events, key=_order):
            said |= {(ref.kind, ref.id): (event, ref.status) for ref in reversed(event.refs)}
        for (kind, name), (event, status) in said.items():
            if (kind, name) not in taken:
                fields = {"kind": kind, "id": name, "type": event.type, "time": text(event.time)}
                status_or_none = {"status": status} if status else {}
                shown.append(((_order(event), kind, name), fields | status_or_none | via(event)))
        taken |= said.keys()
    return [fields for _, fields in sorted(shown, key=lambda each: each[0], reverse=True)]


def _groups(document: dict[str, Any], told: list[list[RoutedEvent]], kinds: dict[str, str]) -> None:
    groups: dict[str, set[str]] = {}
    borrowed: dict[str, str] = {}
    for place, events in enumerate(told):
        found: dict[str, set[str]] = defaultdict(set)
        for event in sorted(events, key=lambda event: (kinds[event.target] == "cookie", event.target)):
            for kind, values in event.groups.items():
                found[kind] |= set(values)
        for kind in found.keys() - groups.keys():
            groups[kind] = found[kind]
            if place == 1:
                sayers = {kinds[event.target] for event in events if kind in event.groups}
                borrowed[kind] = min(sayers)
    document["groups"] = {kind: sorted(values) for kind, values in groups.items()}
    if borrowed:
        document["groups_via"] = borrowed


def _tallies(events: list[RoutedEvent], name_of: Callable[[RoutedEvent], str]) -> dict[str, Any]:
    times: dict[str, list[int]] = defaultdict(list)
    for event in events:
        times[name_of(event)].append(event.time)
    return {
        name: {"interactions": len(each), "first": text(min(each)), "last": text(max(each))}
        for name, each in times.items()
    }


def _days(events: list[RoutedEvent]) -> dict[str, dict[str, int]]:
    days: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in events:
        days[text(event.time)[:10]][event.channel] += 1
    return {day: dict(channels) for day, channels in days.items()}


def _line(event: RoutedEvent) -> dict[str, Any]:
    fields = {"id": event.id, "source": event.source, "type": event.type, "time": text(event.time)}
    optional = {"summary": event.summary, "direction": event.direction}
    return fields | {"channel": event.channel} | {name: value for name, value in optional.items() if value}
