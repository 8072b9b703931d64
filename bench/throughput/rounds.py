"""Engines in turns, A B A B, in one run on one broker: what a figure is against another one, and how far it varies."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from bench.throughput.run import Run
from schemas.errors import GoldenthreadError

#: One engine over its load, given the number of the turn.
Contender = Callable[[int], Run]


class Ratio(msgspec.Struct, frozen=True):
    """One figure against another, each pair of one round: so what slows the machine down slows both."""

    of: str
    against: str
    median: float
    least: float
    most: float


class Summary(msgspec.Struct, frozen=True):
    """All rounds of one engine; but for the rates, the median of each figure."""

    engine: str
    events_per_second: float
    least_per_second: float
    most_per_second: float
    events_per_processor_second: float
    engine_processors: float
    broker_processors: float
    engine_resident_mib: float
    bytes_out_per_event_in: float
    stored_bytes_per_event_in: float
    event_size_bytes: float
    #: Distinct ones, and all that were laid, copies among them.
    events: int
    laid: int
    rounds: int
    #: Rounds in which the final state was right, all interactions were there, and the end was in good order.
    right: int


class Turns(NamedTuple):
    """What came of all rounds."""

    #: By contender, round by round.
    runs: dict[str, tuple[Run, ...]]
    #: Contenders that could not be measured, and why: none of their runs count.
    failures: dict[str, str]


def take_turns(contenders: Mapping[str, Contender], rounds: int, tell: Callable[[str], None]) -> Turns:
    """Run all contenders in their order, and again; one that fails is left out from then on."""
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    failures: dict[str, str] = {}
    number = 0
    for _ in range(rounds):
        for name, contender in contenders.items():
            number += 1
            if name in failures:
                continue
            try:
                runs[name].append(contender(number))
            except GoldenthreadError as error:
                failures[name] = f"{type(error).__name__}: {error}"
                tell(f"{name} failed: {failures[name]}")
    return Turns({name: tuple(each) for name, each in runs.items() if name not in failures}, failures)


def ratio(runs: Mapping[str, Sequence[Run]], of: str, against: str) -> Ratio:
    """The rates of one contender over those of another, round by round."""
    pairs = zip(runs[of], runs[against], strict=True)
    ratios = [one.events_per_second / other.events_per_second for one, other in pairs]
    return Ratio(of, against, median(ratios), min(ratios), max(ratios))


def summarise(name: str, runs: Sequence[Run]) -> Summary:
    """One engine's rounds as one row."""
    rates = [run.events_per_second for run in runs]
    return Summary(
        engine=name,
        events_per_second=median(rates),
        least_per_second=min(rates),
        most_per_second=max(rates),
        events_per_processor_second=median(run.events_per_processor_second for run in runs),
        engine_processors=median(run.engine_processors for run in runs),
        broker_processors=median(run.broker_processors for run in runs),
        engine_resident_mib=max(run.engine_resident_mib for run in runs),
        bytes_out_per_event_in=median(run.bytes_out_per_event_in for run in runs),
        stored_bytes_per_event_in=median(run.stored_bytes_per_event for run in runs),
        event_size_bytes=runs[0].event_size_bytes,
        events=runs[0].events,
        laid=runs[0].laid,
        rounds=len(runs),
        right=sum(run.verdict.agrees and not any(run.exit_codes) for run in runs),
    )
