"""A whole measurement of one seed: Goldenthread as it runs, the other ways on the same records, and the ceiling."""

import random
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.identity.baselines import Way, ceiling, union_find, unique_ids
from bench.identity.clusters import Judge, Scores
from bench.identity.exposure import Ask, Asking, Exposures
from bench.identity.records import EventKey, Reader, Record, Truth
from bench.identity.running import RunningWay
from bench.identity.shares import OF_EVENTS, OF_PERSONS
from bench.identity.splink_way import splink_way
from bench.identity.stream import Labelled, Plan, World, stream
from schemas.errors import GoldenthreadError

GOLDENTHREAD: Final = "Goldenthread"
UNION_FIND: Final = "union-find: every pair joins"
UNIQUE_IDS: Final = "customer number and login only"
SPLINK: Final = "splink, its best threshold"
CEILING: Final = "ceiling: knows the truth"
CAREFUL: Final = "ceiling that wrongs nobody"
GRADES: Final = ("claimed", "login")
# Besides the end: lookups are sampled when so much of all events is in.
_SAMPLED_AT: Final = (0.25, 0.5, 0.75)
# A share of one in a hundred is then known to a third of itself.
_SAMPLE_LOOKUPS: Final = 1_000


@dataclass(slots=True)
class Measured:
    """What one way did."""

    scores: Scores
    #: Of customers with two events or more, the share that mixes people.
    mixed: float
    #: By difficulty, of events of such persons or with such a mishap.
    by_difficulty: dict[str, Scores] = field(default_factory=dict)
    #: By least grade; ways that know no grades have `claimed` only.
    exposures: dict[str, Exposures] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "scores": self.scores.to_json(),
            "mixed": self.mixed,
            "by_difficulty": {name: scores.to_json() for name, scores in self.by_difficulty.items()},
            "exposures": {
                grade: {heading: one.to_json() for heading, one in exposures.items()}
                for grade, exposures in self.exposures.items()
            },
        }


@dataclass(slots=True)
class Run:
    """One seed."""

    persons: int
    seed: int
    events: int = 0
    copies: int = 0
    dead: int = 0
    seconds: float = 0.0
    ways: dict[str, Measured] = field(default_factory=dict)
    #: Lookups by what is nobody's (kiosks, own numbers, dummies), by least grade.
    of_nobody: dict[str, Exposures] = field(default_factory=dict)
    #: Share of events that were in, and the samples that were taken then, by least grade.
    in_between: dict[float, dict[str, Exposures]] = field(default_factory=dict)
    splink_threshold: float | None = None
    #: Why splink is missing.
    splink_problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""

        def plain(exposures: Mapping[str, Exposures]) -> dict[str, Any]:
            return {grade: {name: one.to_json() for name, one in each.items()} for grade, each in exposures.items()}

        return {
            "persons": self.persons,
            "seed": self.seed,
            "events": self.events,
            "copies": self.copies,
            "dead": self.dead,
            "seconds": round(self.seconds, 1),
            "ways": {name: way.to_json() for name, way in self.ways.items()},
            "of_nobody": plain(self.of_nobody),
            "in_between": {str(at): plain(exposures) for at, exposures in self.in_between.items()},
            "splink_threshold": self.splink_threshold,
            "splink_problem": self.splink_problem,
        }


def measure(plan: Plan, *, with_splink: bool, tell: Callable[[str], None]) -> Run:
    """Measure every way on the events of one plan.

    Raises:
        RestartNeeded: the running system did not start, or fell behind for too long.
    """
    started = time.monotonic()
    world = World.of(plan)
    events = list(stream(world))
    run = Run(plan.persons, plan.seed, copies=sum(labelled.copy for labelled in events))
    records = _records(events, Reader())
    run.events, run.dead = len(records), sum(record.target is None for record in records)
    everything = _Everything(world, records)
    with tempfile.TemporaryDirectory(prefix="goldenthread-identity-") as temporary:
        folder = Path(temporary)
        run.ways[GOLDENTHREAD] = _goldenthread(run, everything, events, folder, tell)
        for name, way in ((UNION_FIND, union_find), (UNIQUE_IDS, unique_ids)):
            tell(name)
            run.ways[name] = everything.of_way(way(records))
        if with_splink:
            try:
                splinked, run.splink_threshold = splink_way(records, folder, tell)
                run.ways[SPLINK] = everything.of_way(splinked)
            except GoldenthreadError as error:
                run.splink_problem = str(error)
                tell(f"splink is left out: {error}")
    for name, careful in ((CEILING, False), (CAREFUL, True)):
        run.ways[name] = everything.of_events(ceiling(records, careful=careful).events)
    run.seconds = time.monotonic() - started
    return run


def _records(events: Sequence[Labelled], reader: Reader) -> list[Record]:
    """Of each event once, in the order of first arrival."""
    return [reader.record(labelled) for labelled in events if not labelled.copy]


class _Everything:
    """All records at the end, and what ways are asked."""

    def __init__(self, world: World, records: list[Record]) -> None:
        self.world, self.records = world, records
        self.truth: dict[EventKey, Truth] = {record.key: record.truth for record in records}
        self.asking = Asking(world, records, 1.0)
        self._subsets: dict[str, list[EventKey]] = {name: [] for name in (*OF_PERSONS, *OF_EVENTS)}
        people = {person.number: person for person in (*world.people.customers, *world.people.testers)}
        for record in records:
            for name in (*people[record.truth[1]].difficulties, *record.mishaps):
                self._subsets[name].append(record.key)

    def of_events(self, events: Mapping[EventKey, Hashable | None]) -> Measured:
        """The scores of an assignment of events."""
        judge = Judge(self.truth, events)
        return Measured(
            judge.scores(), judge.merged_share, {name: judge.scores(keys) for name, keys in self._subsets.items()}
        )

    def of_way(self, way: Way) -> Measured:
        """The same, with all lookups."""
        measured = self.of_events(way.events)
        exposures = measured.exposures["claimed"] = Exposures()
        for ask in self.asking.asks:
            exposures.judge(self.asking, ask, way.show(ask.identifier))
        return measured


def _goldenthread(
    run: Run, everything: _Everything, events: Sequence[Labelled], folder: Path, tell: Callable[[str], None]
) -> Measured:
    """Play all events, sampling lookups in between; then ask everything."""
    reader = Reader()
    dice = random.Random(f"identity/samples/{run.seed}")
    with RunningWay(folder / "system") as system:
        sent = 0
        for share in (*_SAMPLED_AT, 1.0):
            upto = int(share * len(events))
            tell(f"{GOLDENTHREAD}: {upto} of {len(events)} events")
            system.play(events[sent:upto])
            sent = upto
            if share < 1:
                so_far = Asking(everything.world, _records(events[:upto], reader), max(one.at for one in events[:upto]))
                asks = dice.sample(so_far.asks, min(_SAMPLE_LOOKUPS, len(so_far.asks)))
                run.in_between[share] = _exposed(system, so_far, asks)
        measured = everything.of_events(system.customers())
        tell(f"{GOLDENTHREAD}: {len(everything.asking.asks)} lookups at each grade")
        measured.exposures = _exposed(system, everything.asking, everything.asking.asks)
        run.of_nobody = _exposed(system, everything.asking, everything.asking.of_nobody)
    return measured


def _exposed(system: RunningWay, asking: Asking, asks: Sequence[Ask]) -> dict[str, Exposures]:
    exposures = {grade: Exposures() for grade in GRADES}
    for grade, counted in exposures.items():
        system.expose(asking, asks, grade, counted)
    return exposures
