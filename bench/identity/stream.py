"""Events of a labelled population in the order of their arrival, each with its truth.

Deterministic, and bounded by the people and by what is under way at one time: a run may have any length.
"""

import heapq
import random
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, NamedTuple

from bench.generator import START_US
from bench.identity import mishaps
from bench.identity.acting import HABITS, bought, called
from bench.identity.draft import Draft
from bench.identity.people import People, Person, make_people
from bench.identity.registering import happenings
from bench.identity.shares import Shares
from schemas.times import format_time

_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _SECOND_US
#: Events tell of so many days.
SPAN_DAYS: Final = 300
#: Events that each person does, on average, without those that happen once.
EVENTS_PER_PERSON: Final = 20
_LATE_US: Final = (1 * _HOUR_US, 72 * _HOUR_US)
_COPY_US_MAX: Final = 6 * _HOUR_US


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate. `events` counts distinct ones; copies come on top."""

    persons: int = 2_000
    seed: int = 1
    events: int = 0

    @property
    def events_count(self) -> int:
        """How many distinct events there are."""
        return self.events or self.persons * EVENTS_PER_PERSON


class Labelled(NamedTuple):
    """An event, and what only its maker knows of it."""

    event: dict[str, Any]
    #: Brand and number of the person who did it.
    truth: tuple[str, int]
    foreign: frozenset[str]
    mishaps: tuple[str, ...]
    #: When it happened, as a fraction of the run.
    at: float
    #: It arrives once more, or for the first time.
    copy: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """A population and its shares."""

    plan: Plan
    shares: Shares
    people: People

    @classmethod
    def of(cls, plan: Plan) -> "World":
        """The world of a plan."""
        shares = Shares.of_seed(plan.seed)
        return cls(plan, shares, make_people(plan.persons, plan.seed, shares))


def stream(world: World) -> Iterator[Labelled]:
    """All events in the order in which they arrive; lateness and copies move when an event arrives, never its time."""
    dice = random.Random(f"identity/arrivals/{world.plan.seed}")
    under_way: list[tuple[int, int, Labelled]] = []
    gap_us = SPAN_DAYS * 24 * _HOUR_US // world.plan.events_count
    numbers: Counter[str] = Counter()
    serial = 0
    for place, made in enumerate(_happening(world)):
        time_us = START_US + place * gap_us
        numbers[made.source] += 1
        labelled = Labelled(
            _cloud_event(made, f"e-{numbers[made.source]}", time_us),
            made.truth,
            made.foreign,
            made.mishaps,
            place / world.plan.events_count,
        )
        arrival_us = time_us + (dice.randint(*_LATE_US) if dice.random() < world.shares.late else 0)
        heapq.heappush(under_way, (arrival_us, serial, labelled))
        serial += 1
        if dice.random() < world.shares.duplicates:
            heapq.heappush(
                under_way, (arrival_us + dice.randint(0, _COPY_US_MAX), serial, labelled._replace(copy=True))
            )
            serial += 1
        # Nothing that is still to happen can arrive before it has happened.
        while under_way and under_way[0][0] <= time_us:
            yield heapq.heappop(under_way)[2]
    while under_way:
        yield heapq.heappop(under_way)[2]


def _cloud_event(made: Draft, number: str, time_us: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": number,
        "source": made.source,
        "type": made.type,
        "time": format_time(time_us),
        "channel": made.channel,
        "data": made.data,
    }


def _happening(world: World) -> Iterator[Draft]:
    """Each distinct event in the order of times: what is due, else something that goes wrong or somebody's habit."""
    dice = random.Random(f"identity/events/{world.plan.seed}")
    people, shares = world.people, world.shares
    due = happenings(people.customers, dice)[::-1]
    choice = _Choice(people, dice)
    turns = 0
    for place in range(world.plan.events_count):
        now = place / world.plan.events_count
        turn = dice.random()
        if turn < shares.tests:
            yield mishaps.tested(people, dice)
        elif (turn := turn - shares.tests) < shares.forged:
            yield mishaps.forged(choice.person("cookie"), now, people, dice)
        elif (turn := turn - shares.forged) < shares.kiosk:
            yield mishaps.at_kiosk(choice.person("address"), now, people, dice)
        elif (turn := turn - shares.kiosk) < shares.mistyped:
            turns += 1
            yield mishaps.mistyped(choice.person("both"), now, people, turns, dice)
        elif due and due[-1].at <= now:
            happening = due.pop()
            yield happening.make(happening.person, dice)
        else:
            yield _habit(choice.person("any"), now, shares, dice)


class _Choice:
    """Somebody who acts next: the active ones more often."""

    def __init__(self, people: People, dice: random.Random) -> None:
        fits = {
            "any": people.customers,
            "cookie": [person for person in people.customers if person.cookies],
            "address": [person for person in people.customers if person.emails],
            "both": [person for person in people.customers if person.emails and person.cookies],
        }
        self._some = {name: (some, list(accumulate(one.activity for one in some))) for name, some in fits.items()}
        self._dice = dice

    def person(self, name: str) -> Person:
        """One of them."""
        some, weights = self._some[name]
        return some[bisect(weights, self._dice.random() * weights[-1])]


def _habit(person: Person, now: float, shares: Shares, dice: random.Random) -> Draft:
    possible = [habit for habit in HABITS if habit.possible(person, now)]
    habit = dice.choices(possible, [one.weight for one in possible])[0]
    made = habit.act(person, now, dice)
    if habit.act is called:
        return mishaps.call_in_other_words(made, shares.own_number, shares.withheld, dice)
    return mishaps.sale_in_other_words(made, shares.dummy_crm, dice) if habit.act is bought else made
