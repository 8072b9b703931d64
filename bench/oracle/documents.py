"""One customer's context from the fragments of its members, as the contract's document has it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from bench.oracle import fragments
from bench.oracle.enriching import DERIVED
from bench.oracle.fragments import PlainFragment, Said
from bench.oracle.kinds import CLAIMED, GRADE_LABELS, IDENTIFYING, LOGIN, MEDIUM, Identifier, normalised, row
from bench.oracle.partition import Customer, Link
from bench.oracle.reading import PlainEvent, written_time

REALM: Final = "default"
SUMMARY_LENGTH_MAX: Final = 280
TRUSTED_TRAITS: Final = tuple(name for origin, derived in DERIVED.items() for name in (origin, *derived))
_BUCKET_US: Final = 30 * 86_400_000_000
Key = TypeVar("Key", str, tuple[str, str])


@dataclass(slots=True)
class Sight:
    """When and how surely evidence saw an identifier."""

    first: int
    #: The start of the newest 30-day bucket.
    last: int
    grade: int


def sights_of(links: Iterable[Link], withdrawn: Collection[str] = ()) -> dict[Identifier, Sight]:
    """What evidence says of each identifier's sight; how surely, withdrawn sources don't say."""
    sights: dict[Identifier, Sight] = {}
    for link in links:
        bucket = link.time // _BUCKET_US * _BUCKET_US
        for end in (link.one, link.other):
            sight = sights.setdefault(end, Sight(link.time, bucket, 0))
            sight.first, sight.last = min(sight.first, link.time), max(sight.last, bucket)
            if link.source not in withdrawn:
                sight.grade = max(sight.grade, link.grade)
    return sights


@dataclass(slots=True)
class Documents:
    """All that documents are made of."""

    fragments: Mapping[Identifier, PlainFragment]
    sights: Mapping[Identifier, Sight]
    neighbours: Mapping[Identifier, Mapping[Identifier, int]]
    #: The group of its kind with which an identifier was placed, if it was.
    groups: Mapping[Identifier, Collection[Identifier]] = field(default_factory=dict)
    #: Identifiers that another one has replaced.
    former: Collection[Identifier] = ()

    def events_of(self, members: Iterable[Identifier]) -> list[PlainEvent]:
        """All events that count for these members."""
        return [event for one in members if one in self.fragments for event in self.fragments[one].events]

    def seen_grade(self, identifier: Identifier) -> int:
        """The best grade by which an identifier was seen: by its own events or by evidence; at least a claim."""
        own = [event.grade for event in self.events_of([identifier])]
        return max([CLAIMED, *own, *([self.sights[identifier].grade] if identifier in self.sights else [])])

    def grades(self, customer: Customer, home: Identifier) -> dict[Identifier, int]:
        """Each member's grade: the weakest link on its best way to the home."""
        grades: dict[Identifier, int] = {}
        for grade in sorted(GRADE_LABELS, reverse=True):
            reached, edge = set(), {home}
            while edge:
                one = edge.pop()
                reached.add(one)
                around = self.neighbours.get(one, {})
                nearer = {other for other in around if around[other] >= grade and self._leads(other, one, customer)}
                edge |= nearer - reached
            for one in reached:
                grades.setdefault(one, grade)
        return grades | {home: self.seen_grade(home)}

    def level(self, customer: Customer, home: Identifier) -> str:
        """How sure it is who this is."""
        if customer.joined:
            return "identified"
        for member in customer.resting(home):
            if row(member.kind).strength == IDENTIFYING and self.seen_grade(member) >= LOGIN:
                return "identified"
        return "recognised" if row(home.kind).strength >= MEDIUM else "anonymous"

    def document(self, customer: Customer, home: Identifier) -> dict[str, Any]:
        """The whole document but for `customer`, `version` and `settling`."""
        events = self.events_of(customer.members)
        resting = customer.resting(home)
        via = {event.order: "" if one in resting else one.kind for one in customer.members for event in self._own(one)}
        whole = self._merged(customer, resting)
        recent = sorted(events, key=lambda event: event.order, reverse=True)
        times = sorted(event.time for event in events)
        return {
            "realm": REALM,
            "identity": {"level": self.level(customer, home), "strongest": home.kind},
            "identifiers": self._identifiers(customer, home),
            "traits": _shown_traits(_in_use(whole.traits, {one for one in customer.members if one in self.former})),
            "permissions": _shown_permissions(whole.permissions),
            "channels": _shown_tallies(fragments.tallies(events, lambda event: event.channel, len(events))),
            "types": _shown_tallies(fragments.tallies(events, lambda event: event.type, fragments.TYPES_MAX)),
            "days": {written_time(day)[:10]: counts for day, counts in fragments.days_of(events).items()},
            "refs": [_shown_ref(said) for said in whole.refs.values()],
            "groups": _shown_groups(whole.groups),
            **_groups_via(whole.groups),
            "last": {direction: _touch(recent, direction, via) for direction in ("in", "out")},
            "interactions": {
                "count": len(events),
                "first": written_time(times[0]),
                "last": written_time(times[-1]),
                "recent": [_recent(event, via[event.order]) for event in recent[: fragments.RECENT_MAX]],
            },
        }

    def _leads(self, one: Identifier, to: Identifier, customer: Customer) -> bool:
        """Whether a member's way to the home may go from it to the other.

        Joined ones go by each other; whoever is attached goes to stronger kinds, or within the group of its own kind
        that was attached as a whole.
        """
        if one not in customer.members:
            return False
        if one in customer.joined:
            return to in customer.joined
        return row(to.kind).place < row(one.kind).place or to in self.groups.get(one, ())

    def _own(self, identifier: Identifier) -> list[PlainEvent]:
        return self.fragments[identifier].events if identifier in self.fragments else []

    def _identifiers(self, customer: Customer, home: Identifier) -> list[dict[str, Any]]:
        grades = self.grades(customer, home)
        shown = []
        for one in sorted(customer.members, key=self._shown_order):
            own = [event.time for event in self._own(one)]
            sight = self.sights.get(one)
            # Whom only an order named was never seen.
            first = min([*own, *([sight.first] if sight else [])], default=None)
            last = max([*own, *([sight.first, sight.last] if sight else [])], default=None)
            role = "home" if one == home else "joined" if one in customer.joined else "attached"
            shown.append(
                {
                    "kind": one.kind,
                    "value": one.value,
                    "grade": GRADE_LABELS[grades[one]],
                    "role": role,
                    "first": None if first is None else written_time(first),
                    "last": None if last is None else written_time(last),
                    "status": "former" if one in self.former else "current",
                }
            )
        return shown

    def _shown_order(self, member: Identifier) -> tuple[int, bool, Identifier]:
        return row(member.kind).place, member in self.former, member

    def _merged(self, customer: Customer, resting: set[Identifier]) -> PlainFragment:
        """Registers of all members: attached ones fill only what no resting one says anything about."""
        solid = [self.fragments[one] for one in resting if one in self.fragments]
        hanging = [_via(self.fragments[one], one.kind) for one in customer.members - resting if one in self.fragments]
        traits = _filled([one.traits for one in solid], [one.traits for one in hanging])
        flat = {name: [one for said in lists for one in said] for name, lists in traits.items()}
        permissions = _latest(_filled([one.permissions for one in solid], [one.permissions for one in hanging]), _age)
        refs = _latest(_filled([one.refs for one in solid], [one.refs for one in hanging]), _order)
        groups = _latest(_filled_groups([one.groups for one in solid], [one.groups for one in hanging]), _order)
        return PlainFragment(
            [],
            fragments.newest(flat, fragments.TRAITS_MAX, lambda said: max(one.age for one in said)),
            fragments.newest(permissions, fragments.PERMISSIONS_MAX, _age),
            fragments.newest(refs, fragments.REFS_MAX, _order),
            fragments.newest(groups, fragments.GROUPS_MAX, _order),
        )


def _age(said: Said) -> tuple[int, int, str, str]:
    return said.age


def _order(said: Said) -> tuple[int, str, str]:
    return said.order


def _via(fragment: PlainFragment, kind: str) -> PlainFragment:
    return PlainFragment(
        fragment.events,
        {name: [replace(one, via=kind) for one in said] for name, said in fragment.traits.items()},
        {key: replace(said, via=kind) for key, said in fragment.permissions.items()},
        {key: replace(said, via=kind) for key, said in fragment.refs.items()},
        {key: replace(said, via=kind) for key, said in fragment.groups.items()},
    )


def _filled(solid: list[dict[Key, Any]], hanging: list[dict[Key, Any]]) -> dict[Key, list[Any]]:
    """Per key all entries of the resting members, or where there are none, all of the attached ones."""
    keys = {key for entries in solid + hanging for key in entries}
    return {
        key: [entries[key] for entries in solid if key in entries] or [one[key] for one in hanging if key in one]
        for key in keys
    }


def _filled_groups(
    solid: list[dict[tuple[str, str], Said]], hanging: list[dict[tuple[str, str], Said]]
) -> dict[tuple[str, str], list[Said]]:
    """Groups fill by kind: where a resting member names any group of a kind, attached ones add none."""
    told = {kind for entries in solid for kind, _ in entries}
    more = [{key: said for key, said in entries.items() if key[0] not in told} for entries in hanging]
    return _filled(solid, more)


def _latest(entries: dict[Key, list[Said]], order: Callable[[Said], Any]) -> dict[Key, Said]:
    return {key: max(said, key=order) for key, said in entries.items()}


def _in_use(traits: dict[str, list[Said]], formers: set[Identifier]) -> dict[str, list[Said]]:
    """Of a trusted trait what says no former identifier, if anything does; else all of it."""
    origins = {derived: origin for origin, names in DERIVED.items() for derived in names}
    kept = dict(traits)
    for name in TRUSTED_TRAITS:
        origin = origins.get(name, name)
        said = [one for one in traits.get(name, []) if not _says(one.event, origin, formers)]
        kept |= {name: said} if said else {}
    return kept


def _says(event: PlainEvent, trait: str, formers: set[Identifier]) -> bool:
    value = event.data["traits"].get(trait)
    return isinstance(value, str) and Identifier(trait, normalised(trait, value)) in formers


def _shown_traits(traits: dict[str, list[Said]]) -> dict[str, Any]:
    shown = {}
    for name, said in traits.items():
        newest = fragments.newest_of(said)
        winner = fragments.most_trusted_of(said) if name in TRUSTED_TRAITS else newest
        # A withdrawn trait is not shown, but it did win: what it withdrew does not come back.
        if winner.value is None:
            continue
        shown[name] = _shown_trait(winner) | _grade(winner, name)
        # Who repeats what is shown anyhow claims nothing new.
        if newest.age > winner.age and newest.value != winner.value:
            shown[name]["newer_claim"] = _shown_trait(newest) | _grade(newest, name)
    return shown


def _grade(said: Said, name: str) -> dict[str, str]:
    return {"grade": GRADE_LABELS[said.event.grade]} if name in TRUSTED_TRAITS else {}


def _shown_trait(said: Said) -> dict[str, Any]:
    event = said.event
    fields = {"value": said.value, "time": written_time(event.time), "source": event.source, "event": event.id}
    return _with_via(fields, said.via)


def _shown_permissions(permissions: dict[tuple[str, str], Said]) -> dict[str, dict[str, Any]]:
    shown: dict[str, dict[str, Any]] = {}
    for (channel, purpose), said in permissions.items():
        shown.setdefault(channel, {})[purpose] = _shown_trait(said)
    return shown


def _shown_tallies(tallies: dict[str, list[int]]) -> dict[str, Any]:
    return {
        name: {"interactions": len(times), "first": written_time(times[0]), "last": written_time(times[-1])}
        for name, times in tallies.items()
    }


def _shown_ref(said: Said) -> dict[str, Any]:
    ref, event = said.value, said.event
    fields = {"kind": ref["kind"], "id": ref["id"], "type": event.type, "time": written_time(event.time)}
    return _with_via(fields | ({"status": ref["status"]} if ref.get("status") else {}), said.via)


def _shown_groups(groups: dict[tuple[str, str], Said]) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for kind, value in sorted(groups):
        shown.setdefault(kind, []).append(value)
    return shown


def _groups_via(groups: dict[tuple[str, str], Said]) -> dict[str, dict[str, str]]:
    """The kinds of groups that only attached members tell; of several members the first by its plain identifier."""
    via: dict[str, str] = {}
    for (kind, _), said in groups.items():
        if said.via:
            via[kind] = min(via.get(kind, said.via), said.via)
    return {"groups_via": via} if via else {}


def _touch(recent: list[PlainEvent], direction: str, via: dict[tuple[int, str, str], str]) -> dict[str, Any] | None:
    """The newest event of the direction, or None."""
    for event in recent:
        if event.data.get("direction") == direction:
            fields = {"time": written_time(event.time), "channel": event.channel, "summary": _summary(event)}
            return _with_via(fields, via[event.order])
    return None


def _recent(event: PlainEvent, via: str) -> dict[str, Any]:
    fields = {"id": event.id, "source": event.source, "type": event.type, "time": written_time(event.time)}
    fields |= {"channel": event.channel}
    if _summary(event):
        fields |= {"summary": _summary(event)}
    if event.data.get("direction"):
        fields |= {"direction": event.data["direction"]}
    return _with_via(fields, via)


def _summary(event: PlainEvent) -> str:
    text: str = event.data.get("summary") or ""
    return text if len(text) <= SUMMARY_LENGTH_MAX else text[: SUMMARY_LENGTH_MAX - 1].rstrip() + "…"


def _with_via(fields: dict[str, Any], via: str) -> dict[str, Any]:
    return fields | {"via": via} if via else fields
