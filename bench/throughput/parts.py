"""The parts of throughput: (a) the context stage alone against peers, (b) the whole pipeline, (c) to (f) beside it."""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bench.job.events import Plan
from bench.job.forms import Forms
from bench.peers.peer import Peer
from bench.throughput.cold import NAME as COLD
from bench.throughput.cold import ColdInstallation
from bench.throughput.engines import ContextEngine, Engine, PeerEngine, PipelineEngine
from bench.throughput.loads import Load
from bench.throughput.rounds import Contender, Ratio, Summary, ratio, summarise, take_turns
from bench.throughput.run import Run, measure_run
from bench.throughput.site import Site, open_site
from schemas.errors import UsageError

CONTEXT_200: Final = "context, 200 ms"
CONTEXT_1000: Final = "context, 1 s"
STREAMS_200: Final = "Kafka Streams, 200 ms"
STREAMS_1000: Final = "Kafka Streams, 1 s"
STREAMS_BY_HAND: Final = "Kafka Streams by hand, with internal names, 200 ms"
QUIX: Final = "Quix Streams"
FAUST: Final = "Faust with a table"
PIPELINE: Final = "pipeline"
HOT: Final = "pipeline, hot customer"
LARGE: Final = "pipeline, 2 KB events"
TWO: Final = "pipeline, two workers"

#: By these names parts are asked for; the letters are those of the report.
PARTS: Final = {
    "a": (STREAMS_200, CONTEXT_200, STREAMS_1000, CONTEXT_1000, STREAMS_BY_HAND, QUIX, FAUST),
    "b": (PIPELINE,),
    "c": (COLD,),
    "d": (HOT,),
    "e": (LARGE,),
    "f": (TWO,),
}
#: What is set against what: of, against.
RATIOS: Final = (
    (CONTEXT_200, STREAMS_200),
    (CONTEXT_1000, STREAMS_1000),
    (CONTEXT_200, STREAMS_BY_HAND),
    (CONTEXT_1000, QUIX),
    (CONTEXT_200, FAUST),
    (PIPELINE, STREAMS_200),
    (PIPELINE, STREAMS_1000),
    (COLD, PIPELINE),
    (HOT, PIPELINE),
    (LARGE, PIPELINE),
    (TWO, PIPELINE),
)
# Quix's own default.
_QUIX_COMMIT_MS: Final = 5_000
# Faust's own default (`broker_commit_interval`).
_FAUST_COMMIT_MS: Final = 2_800
_HOT_SHARE: Final = 0.5
_LARGE_PADDING_BYTES: Final = 1_700


class ThroughputPlan(msgspec.Struct, frozen=True):
    """How much is measured."""

    rounds: int = 3
    events: int = 300_000
    customers: int = 20_000
    #: Of 2 KB each: a smaller backlog takes as long.
    large_events: int = 150_000
    #: Events of each cold round, and the customers that are on disk before.
    cold_events: int = 150_000
    cold_customers: int = 1_000_000
    #: Plain Faust takes an eighth to a tenth of what the others do: as many events, an eighth of them.
    faust_events: int = 60_000
    names: tuple[str, ...] = tuple(name for part in PARTS.values() for name in part)

    @classmethod
    def quick(cls) -> "ThroughputPlan":
        """What a minute or two is enough for: the ratios that matter most."""
        names = (STREAMS_200, CONTEXT_200, QUIX, CONTEXT_1000, PIPELINE)
        return cls(rounds=2, events=120_000, customers=8_000, names=names)

    def only(self, parts: tuple[str, ...]) -> "ThroughputPlan":
        """The same with these parts alone.

        Raises:
            UsageError: there is no such part.
        """
        unknown = [part for part in parts if part not in PARTS]
        if unknown:
            raise UsageError(f"there is no part {', '.join(unknown)} of throughput: choose of {', '.join(PARTS)}")
        return msgspec.structs.replace(self, names=tuple(name for part in parts for name in PARTS[part]))


class Throughput(msgspec.Struct, frozen=True):
    """What came of it."""

    plan: ThroughputPlan
    summaries: tuple[Summary, ...]
    ratios: tuple[Ratio, ...]
    runs: dict[str, tuple[Run, ...]]
    #: What each peer ran on, by package.
    versions: dict[str, dict[str, str]]
    #: Engines that could not be measured, and why.
    failures: dict[str, str] = {}

    def ratio(self, of: str, against: str) -> Ratio | None:
        """One of the ratios; None where it was not measured."""
        return next((each for each in self.ratios if (each.of, each.against) == (of, against)), None)

    def summary(self, engine: str) -> Summary | None:
        """One engine's row; None where it was not measured."""
        return next((each for each in self.summaries if each.engine == engine), None)


def measure(plan: ThroughputPlan, folder: Path, tell: Callable[[str], None]) -> Throughput:
    """Measure all contenders of the plan, in turns on one broker.

    Raises:
        RestartNeeded: an environment can't be made, or an engine did not do the job.
    """
    peers = {name: peer for name, peer in _peers().items() if name in plan.names}
    for peer in peers.values():
        peer.prepare()
    with open_site(folder) as site:
        runs, failures = take_turns(_contenders(plan, site, tell), plan.rounds, tell)
    found = [ratio(runs, of, against) for of, against in RATIOS if of in runs and against in runs]
    return Throughput(
        plan,
        tuple(summarise(name, each) for name, each in runs.items()),
        tuple(found),
        runs,
        {peer.name: peer.versions() for peer in peers.values()},
        failures,
    )


def _peers() -> dict[str, Peer]:
    return {
        STREAMS_200: Peer("kafka_streams", 200, "exactly-once"),
        STREAMS_1000: Peer("kafka_streams", 1_000, "exactly-once"),
        STREAMS_BY_HAND: Peer("kafka_streams", 200, "exactly-once", "expert"),
        QUIX: Peer("quix", _QUIX_COMMIT_MS, "at-least-once"),
        FAUST: Peer("faust_table", _FAUST_COMMIT_MS, "at-least-once"),
    }


def _contenders(plan: ThroughputPlan, site: Site, tell: Callable[[str], None]) -> dict[str, Contender]:
    """What runs, in the order of its turns."""
    forms = Forms()
    usual = Plan(events=plan.events, customers=plan.customers)
    load, few = Load(usual, forms), Load(msgspec.structs.replace(usual, events=plan.faust_events), forms)
    hot = Load(msgspec.structs.replace(usual, hot_share=_HOT_SHARE), forms)
    large = Load(msgspec.structs.replace(usual, events=plan.large_events, padding_bytes=_LARGE_PADDING_BYTES), forms)
    engines: dict[str, tuple[Engine, Load]] = {
        **{name: (PeerEngine(name, peer), few if name == FAUST else load) for name, peer in _peers().items()},
        CONTEXT_200: (ContextEngine(CONTEXT_200, 200), load),
        CONTEXT_1000: (ContextEngine(CONTEXT_1000, 1_000), load),
        PIPELINE: (PipelineEngine(PIPELINE), load),
        HOT: (PipelineEngine(HOT), hot),
        LARGE: (PipelineEngine(LARGE), large),
        TWO: (PipelineEngine(TWO, workers=2), load),
    }
    contenders: dict[str, Contender] = {}
    for name in plan.names:
        if name == COLD:
            contenders[name] = partial(ColdInstallation(site, plan.cold_customers, tell).measure, plan.cold_events)
        else:
            engine, its_load = engines[name]
            contenders[name] = partial(measure_run, engine, its_load, site, tell=tell)
    return contenders


def lines(result: Throughput) -> list[str]:
    """The result in words."""
    engines = (
        f"{each.engine:26} {each.events_per_second:9,.0f} events/s ({each.least_per_second:,.0f} to "
        f"{each.most_per_second:,.0f}), {each.events_per_processor_second:,.0f} a processor second"
        for each in result.summaries
    )
    ratios = (
        f"{each.of} against {each.against}: {each.median:.2f} ({each.least:.2f} to {each.most:.2f})"
        for each in result.ratios
    )
    return list(itertools.chain(engines, ratios))
