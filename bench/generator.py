"""Events of a population in the order of their arrival: seeded, with duplicates, late ones and disorder in set shares.

Deterministic: the same plan gives the same bytes, for ever; no clock is read. Memory is bounded by what is under way
at one time, so that a run may have any length.
"""

import heapq
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from bench.behaviour import HABITS, Draft
from bench.gatherings import gatherings
from bench.milestones import milestones
from bench.population import Person, Population, make_population

#: The registrations that the system under test runs with.
SOURCES_FILE: Final = Path(__file__).with_name("sources.yaml")
#: 2025-01-06, a Monday: a fixed past, so that nothing lies in the future wherever this runs.
START_US: Final = 1_736_121_600_000_000
_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _SECOND_US
# Late events come hours to days after they happened.
_LATE_US: Final = (1 * _HOUR_US, 72 * _HOUR_US)
# A copy comes while its producer still tries again.
_COPY_US_MAX: Final = 6 * _HOUR_US
# While somebody has milestones before them, this share of what they do is the next one.
_MILESTONE_SHARE: Final = 0.4
# This share of changes of address is told by two systems in the same microsecond.
_TWICE_TOLD_SHARE: Final = 0.01
# One gathering happens each time that so many events of the whole have happened.
_GATHERING_EVERY: Final = 8
_ENCODER: Final = msgspec.json.Encoder()
_SUMMER: Final = timezone(timedelta(hours=2))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate. `events` counts distinct ones; copies come on top of them."""

    customers: int = 200
    events: int = 5_000
    seed: int = 1
    start_us: int = START_US
    #: Of the time that the events tell of; 40 days leave more than a context shows by day.
    events_per_second: float = 5_000 / (40 * 86_400)
    duplicate_share: float = 0.05
    late_share: float = 0.05
    #: Events arrive up to this many places from where their time puts them.
    disorder_events: int = 100

    def __post_init__(self) -> None:
        """Refuse what can't be generated."""
        for name in ("duplicate_share", "late_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")
        if self.events < 0 or self.disorder_events < 0 or self.events_per_second <= 0:
            raise ValueError("events and disorder_events must be 0 or more, events_per_second more than 0")


@dataclass(slots=True)
class _Life:
    """One person, what is before them, and what they do between."""

    person: Person
    ahead: list[Draft]
    acts: list[Any]
    weights: list[float]


@dataclass(slots=True)
class _Numbers:
    """Event ids: each source counts for itself, so equal ids of two sources are common."""

    last: dict[str, int] = field(default_factory=dict)

    def next(self, source: str) -> str:
        number = self.last[source] = self.last.get(source, 0) + 1
        return f"e-{number}"


def load_sources(path: Path = SOURCES_FILE) -> dict[str, dict[str, Any]]:
    """The registrations by source, as `sources.yaml` has them."""
    sources: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["sources"]
    return sources


def encode(event: dict[str, Any]) -> bytes:
    """The event as structured JSON."""
    return _ENCODER.encode(event)


def generate(plan: Plan) -> Iterator[dict[str, Any]]:
    """CloudEvents in the order in which they arrive; copies of an event are the same object.

    Lateness, copies and disorder move when an event arrives; its `time` is always when it happened.
    """
    dice = random.Random(f"events/{plan.seed}")
    under_way: list[tuple[int, int, dict[str, Any]]] = []
    gap_us = _SECOND_US / plan.events_per_second
    window_us = int(plan.disorder_events * gap_us)
    serial = 0
    for time_us, event in _happenings(plan, dice, gap_us):
        arrival_us = time_us + int(dice.random() * window_us)
        if dice.random() < plan.late_share:
            arrival_us += dice.randint(*_LATE_US)
        heapq.heappush(under_way, (arrival_us, serial, event))
        if dice.random() < plan.duplicate_share:
            serial += 1
            heapq.heappush(under_way, (arrival_us + int(dice.random() * _COPY_US_MAX), serial, event))
        serial += 1
        # Nothing that is still to happen can arrive before it has happened.
        while under_way and under_way[0][0] < time_us:
            yield heapq.heappop(under_way)[2]
    while under_way:
        yield heapq.heappop(under_way)[2]


def _happenings(plan: Plan, dice: random.Random, gap_us: float) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each distinct event with its time, in the order of times."""
    population = make_population(plan.customers, plan.seed)
    lives = [_life(person, population, dice) for person in population.people]
    cumulative = list(accumulate(life.person.activity for life in lives))
    numbers = _Numbers()
    # A gathering that a short run has no room for does not take place: half of one might end at a limit.
    crowds = [drafts for drafts in gatherings(population, dice) if len(drafts) <= plan.events // _GATHERING_EVERY]
    done = met = 0
    while done < plan.events:
        life = lives[bisect(cumulative, dice.random() * cumulative[-1])]
        if crowds and done > (met + 1) * plan.events // _GATHERING_EVERY:
            drafts = crowds.pop()
            met += 1
        elif life.person.account and dice.random() < _TWICE_TOLD_SHARE:
            drafts = _twice_told(life.person)
        else:
            drafts = [_next_draft(life, population, dice)]
        time_us = plan.start_us + int(done * gap_us)
        for draft in drafts[: plan.events - done]:
            yield time_us, _cloud_event(draft, numbers.next(draft.source), _written_time(time_us, draft))
            done += 1


def _life(person: Person, population: Population, dice: random.Random) -> _Life:
    habits = [habit for habit in HABITS if habit.possible(person)]
    ahead = milestones(person, population, dice)[::-1]
    return _Life(person, ahead, [habit.act for habit in habits], list(accumulate(habit.weight for habit in habits)))


def _next_draft(life: _Life, population: Population, dice: random.Random) -> Draft:
    if life.ahead and dice.random() < _MILESTONE_SHARE:
        return life.ahead.pop()
    act = life.acts[bisect(life.weights, dice.random() * life.weights[-1])]
    draft: Draft = act(life.person, population, dice)
    return draft


def _twice_told(person: Person) -> list[Draft]:
    """Two systems that tell of one move at the same moment and disagree: the higher rank must win."""
    identifiers = {"account": person.account}
    return [
        Draft(source, channel, "address.changed", {"identifiers": identifiers, "traits": {"moved_to": city}})
        for source, channel, city in (("shop-web", "web", "Delft"), ("billing", "billing", "Delfzijl"))
    ]


def _cloud_event(draft: Draft, number: str, time: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": number,
        "source": draft.source,
        "type": draft.type,
        "time": time,
        "channel": draft.channel,
        "data": draft.data,
    }


def _written_time(time_us: int, draft: Draft) -> str:
    """RFC 3339 as producers write it: whole seconds, milliseconds or microseconds, in UTC or with another offset."""
    seconds, micros = divmod(time_us, _SECOND_US)
    if draft.channel == "email":
        return datetime.fromtimestamp(seconds, _SUMMER).isoformat()
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if draft.channel in ("voice", "store"):
        return text + "Z"
    return f"{text}.{micros // 1000:03d}Z" if draft.channel == "web" else f"{text}.{micros:06d}+00:00"
