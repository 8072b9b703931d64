"""The cost model: what a million events cost by process, and what an installation for a pace needs.

Costs are measured ones of the same report. What an installation needs is worked out from them by the rules that are
named constants here, of which those that nothing was measured for say so.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from bench.memory import MIB
from bench.report.results import Results
from bench.throughput import parts
from bench.throughput.cold import NAME as COLD
from bench.throughput.rounds import Summary

_MILLION: Final = 1_000_000
_SECONDS_PER_DAY: Final = 86_400
_GIB: Final = MIB * 1024
#: Events a second on average for which the capacity table says what is needed.
PACES_PER_SECOND: Final = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
# Of what a process can do at the most so much is planned for: the rest is for peaks, restores and owners that are gone.
_USED_SHARE: Final = 0.5
# One machine with one broker is enough up to here: beyond it, what is lost with a disk is too much.
_ONE_BROKER_PER_SECOND_MAX: Final = 2_000
_REPLICAS: Final = 3
# What a copy of the log costs the broker that keeps it, as a share of what the leader's costs. An estimate: one broker
# is all that is measured here.
_REPLICA_COST_SHARE: Final = 0.5
# Cores of a broker that are planned with.
_BROKER_CORES: Final = 4
_PARTITIONS_MIN: Final = 4
# More partitions than workers, so that one more worker finds some to take.
_PARTITIONS_PER_WORKER: Final = 2


class Cost(msgspec.Struct, frozen=True):
    """What a million distinct events cost with one load."""

    load: str
    worker_seconds: float
    broker_seconds: float
    #: What comes on the broker's disk: outputs, changelogs and what stages tell each other; raw events are apart.
    written_mib: float
    #: What the worker's stores have more.
    stored_mib: float
    resident_mib: float


class Edge(msgspec.Struct, frozen=True):
    """Processor seconds of collect and of a lookup that follows, for a million events at a steady pace."""

    collect_seconds: float
    lookup_seconds: float


class Installation(msgspec.Struct, frozen=True):
    """What a pace needs."""

    events_per_second: int
    partitions: int
    workers: int
    collects: int
    brokers: int
    #: Processors of all processes together, at the pace.
    processors: float
    #: Written to the brokers' disks in a day besides raw events, copies of the log included.
    written_gib_per_day: float
    #: Processors of one lookup, which follows everything.
    lookup_processors: float


def costs(results: Results) -> list[Cost]:
    """One for each load of the whole pipeline that was measured."""
    summaries = [] if results.throughput is None else results.throughput.summaries
    wanted = (parts.PIPELINE, COLD, parts.HOT, parts.LARGE, parts.TWO)
    return [_cost(each) for each in summaries if each.engine in wanted]


def _cost(summary: Summary) -> Cost:
    # Bytes are counted for each event that was laid, copies among them.
    laid = _MILLION * summary.laid / summary.events
    return Cost(
        load=summary.engine,
        worker_seconds=_MILLION / summary.events_per_processor_second,
        broker_seconds=_MILLION * summary.broker_processors / summary.events_per_second,
        written_mib=laid * summary.bytes_out_per_event_in / MIB,
        stored_mib=laid * summary.stored_bytes_per_event_in / MIB,
        resident_mib=summary.engine_resident_mib,
    )


def edge(results: Results) -> Edge | None:
    """What the edge costs; None where freshness was not measured."""
    if results.freshness is None:
        return None
    per_second, used = results.freshness.plan.events_per_second, results.freshness.steady.processors
    return Edge(_MILLION * used["collect"] / per_second, _MILLION * used["lookup"] / per_second)


def installations(results: Results, paces: Iterable[int] = PACES_PER_SECOND) -> list[Installation]:
    """What each pace needs; nothing where pipeline and freshness were not both measured."""
    pipeline = None if results.throughput is None else results.throughput.summary(parts.PIPELINE)
    sides = edge(results)
    if pipeline is None or sides is None:
        return []
    return [_installation(pace, _cost(pipeline), sides, pipeline.events_per_second) for pace in paces]


def _installation(pace: int, cost: Cost, sides: Edge, worker_per_second: float) -> Installation:
    workers = math.ceil(pace / (_USED_SHARE * worker_per_second))
    collects = math.ceil(pace * sides.collect_seconds / (_USED_SHARE * _MILLION))
    replicas = 1 if pace <= _ONE_BROKER_PER_SECOND_MAX else _REPLICAS
    broker_seconds = cost.broker_seconds * (1 + _REPLICA_COST_SHARE * (replicas - 1))
    broker_processors = pace * broker_seconds / _MILLION
    seconds = cost.worker_seconds + broker_seconds + sides.collect_seconds + sides.lookup_seconds
    return Installation(
        events_per_second=pace,
        partitions=max(_PARTITIONS_MIN, _PARTITIONS_PER_WORKER * workers),
        workers=workers,
        collects=collects,
        brokers=max(replicas, math.ceil(broker_processors / (_USED_SHARE * _BROKER_CORES))),
        processors=pace * seconds / _MILLION,
        written_gib_per_day=pace * _SECONDS_PER_DAY * cost.written_mib / _MILLION * replicas * MIB / _GIB,
        lookup_processors=pace * sides.lookup_seconds / _MILLION,
    )


def cost_rows(results: Results) -> Iterator[tuple[str, ...]]:
    """The cost table's lines."""
    for each in costs(results):
        yield (
            each.load,
            f"{each.worker_seconds:,.0f}",
            f"{each.broker_seconds:,.0f}",
            f"{each.written_mib:,.0f}",
            f"{each.stored_mib:,.0f}",
            f"{each.resident_mib:,.0f}",
        )


def installation_rows(results: Results) -> Iterator[tuple[str, ...]]:
    """The capacity table's lines."""
    for each in installations(results):
        yield (
            f"{each.events_per_second:,}",
            f"{each.partitions}",
            f"{each.workers}",
            f"{each.collects}",
            f"{each.brokers}",
            f"{each.processors:.1f}",
            f"{each.lookup_processors:.2f}",
            f"{each.written_gib_per_day:,.0f}",
        )
