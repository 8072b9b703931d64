"""What the events of one identifier add up to: bounded registers and counts, each taken from all events at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from bench.oracle.enriching import enriched_traits
from bench.oracle.reading import DAY_US, PlainEvent, canonical

TRAITS_MAX: Final = 128
TYPES_MAX: Final = 64
DAYS_MAX: Final = 32
REFS_MAX: Final = 20
GROUPS_MAX: Final = 16
PERMISSIONS_MAX: Final = 64
RECENT_MAX: Final = 10

Key = TypeVar("Key", str, tuple[str, str])
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Said:
    """A value, the event that said it, and the kind of the attached member that heard it (empty for the others)."""

    value: Any
    event: PlainEvent
    via: str = ""

    @property
    def age(self) -> tuple[int, int, str, str]:
        """Newest wins."""
        return self.event.age

    @property
    def trust(self) -> tuple[int, int, int, str, str]:
        """The best grade wins, then the newest."""
        return (self.event.grade, *self.event.age)

    @property
    def order(self) -> tuple[int, str, str]:
        """The order of lists."""
        return self.event.order


@dataclass(slots=True)
class PlainFragment:
    """The events of one identifier and what is kept of them."""

    events: list[PlainEvent]
    #: Trait to all that was said about it and may still be shown: the newest and the best graded.
    traits: dict[str, list[Said]] = field(default_factory=dict)
    #: (channel, purpose) to yes or no.
    permissions: dict[tuple[str, str], Said] = field(default_factory=dict)
    #: (kind, id) to the reference as its newest event has it.
    refs: dict[tuple[str, str], Said] = field(default_factory=dict)
    #: (kind, value) to the newest event that named the group.
    groups: dict[tuple[str, str], Said] = field(default_factory=dict)


def fragment_of(events: list[PlainEvent]) -> PlainFragment:
    """What the events add up to; they are distinct, in any order."""
    traits: dict[str, list[Said]] = {}
    permissions: dict[tuple[str, str], list[Said]] = {}
    refs: dict[tuple[str, str], list[Said]] = {}
    groups: dict[tuple[str, str], list[Said]] = {}
    for event in events:
        for name, value in enriched_traits(event.data.get("traits", {})).items():
            traits.setdefault(name, []).append(Said(value, event))
        for channel, purposes in event.data.get("permissions", {}).items():
            for purpose, value in purposes.items():
                permissions.setdefault((channel, purpose), []).append(Said(value, event))
        # Of a reference that one event names twice the first naming counts: it stands first, and `max` keeps it.
        for ref in event.data.get("refs", []):
            refs.setdefault((ref["kind"], ref["id"]), []).append(Said(ref, event))
        for group in event.groups:
            groups.setdefault(group, []).append(Said(None, event))
    kept = newest(traits, TRAITS_MAX, lambda said: max(one.age for one in said))
    return PlainFragment(
        events,
        {name: [newest_of(said), most_trusted_of(said)] for name, said in kept.items()},
        newest(_latest(permissions, lambda said: said.age), PERMISSIONS_MAX, lambda said: said.age),
        newest(_latest(refs, lambda said: said.order), REFS_MAX, lambda said: said.order),
        newest(_latest(groups, lambda said: said.order), GROUPS_MAX, lambda said: said.order),
    )


def newest_of(said: Iterable[Said]) -> Said:
    """The last word."""
    return max(said, key=lambda one: one.age)


def most_trusted_of(said: Iterable[Said]) -> Said:
    """The last word of those of the best grade."""
    return max(said, key=lambda one: one.trust)


def newest(entries: dict[Key, Value], limit: int, order: Callable[[Value], Any]) -> dict[Key, Value]:
    """The greatest `limit` entries by the order of their values, then by their names, greatest first."""
    return dict(sorted(entries.items(), key=lambda entry: (order(entry[1]), entry[0]), reverse=True)[:limit])


def tallies(events: list[PlainEvent], name_of: Callable[[PlainEvent], str], limit: int) -> dict[str, list[int]]:
    """Per name the times of its events, sorted; of too many names the first `limit` in the order of the alphabet."""
    times: dict[str, list[int]] = {}
    for event in sorted(events, key=lambda one: one.time):
        times.setdefault(name_of(event), []).append(event.time)
    return {name: times[name] for name in sorted(times)[:limit]}


def days_of(events: list[PlainEvent]) -> dict[int, dict[str, int]]:
    """Events by channel of the newest days that have any; the keys are microseconds of the day's start."""
    days: dict[int, dict[str, int]] = {}
    for event in events:
        channels = days.setdefault(event.time // DAY_US * DAY_US, {})
        channels[event.channel] = channels.get(event.channel, 0) + 1
    return {day: days[day] for day in sorted(days)[-DAYS_MAX:]}


def _latest(entries: dict[Key, list[Said]], order: Callable[[Said], Any]) -> dict[Key, Said]:
    return {key: max(said, key=lambda one: (order(one), canonical(one.value))) for key, said in entries.items()}
