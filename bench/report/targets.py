"""What the figures are held to, and whether they are met."""

from collections.abc import Callable, Iterable
from typing import Final, Literal

import msgspec

from bench.report.results import Results
from bench.throughput import parts
from bench.throughput.cold import NAME as COLD
from bench.throughput.rounds import Ratio

Bound = Literal["at least", "under"]

_MIB_PER_GB: Final = 1_000_000_000 / (1024 * 1024)


class Figure(msgspec.Struct, frozen=True):
    """A figure that was measured."""

    value: float
    least: float | None = None
    most: float | None = None


class Target(msgspec.Struct, frozen=True):
    """What a figure has to be; None as value is aimed at and reported, no more."""

    name: str
    bound: Bound
    wanted: float | None
    aim: float | None
    unit: str
    find: Callable[[Results], Figure | None]


class Outcome(msgspec.Struct, frozen=True):
    """A target, and what came of it."""

    name: str
    bound: Bound
    wanted: float | None
    aim: float | None
    unit: str
    figure: Figure | None

    @property
    def is_met(self) -> bool | None:
        """None where nothing was measured, or nothing is demanded."""
        if self.figure is None or self.wanted is None:
            return None
        value = self.figure.value
        return value >= self.wanted if self.bound == "at least" else value < self.wanted


def _ratio(of: str, against: str) -> Callable[[Results], Figure | None]:
    def find(results: Results) -> Figure | None:
        found: Ratio | None = None if results.throughput is None else results.throughput.ratio(of, against)
        return None if found is None else Figure(found.median, found.least, found.most)

    return find


def _cold_memory(results: Results) -> Figure | None:
    found = None if results.throughput is None else results.throughput.summary(COLD)
    return None if found is None else Figure(found.engine_resident_mib)


def _freshness(results: Results) -> Figure | None:
    return None if results.freshness is None else Figure(results.freshness.to_visible.p99_ms)


def _lookup(results: Results) -> Figure | None:
    return None if results.lookup is None else Figure(results.lookup.overall.p99_ms)


def _restore(results: Results) -> Figure | None:
    return None if results.restore is None else Figure(results.restore.restore_share)


TARGETS: Final = (
    Target(
        "(a) context stage against Kafka Streams, both exactly-once at 200 ms",
        "at least",
        2.5,
        3.0,
        "times",
        _ratio(parts.CONTEXT_200, parts.STREAMS_200),
    ),
    Target(
        "(a) the same, both at 1 s",
        "at least",
        2.5,
        3.0,
        "times",
        _ratio(parts.CONTEXT_1000, parts.STREAMS_1000),
    ),
    Target(
        "(a) exactly-once at 1 s against Quix Streams at its default, at-least-once",
        "at least",
        2.2,
        None,
        "times",
        _ratio(parts.CONTEXT_1000, parts.QUIX),
    ),
    Target(
        "(a) exactly-once at 200 ms against Faust with a table",
        "at least",
        16.0,
        None,
        "times",
        _ratio(parts.CONTEXT_200, parts.FAUST),
    ),
    Target(
        "(b) whole pipeline, one worker, against Kafka Streams doing (a) alone",
        "at least",
        1.0,
        1.5,
        "times",
        _ratio(parts.PIPELINE, parts.STREAMS_200),
    ),
    Target("(f) two workers against (b)", "at least", None, 1.5, "times", _ratio(parts.TWO, parts.PIPELINE)),
    Target("(c) 1,000,000 cold customers against (b)", "at least", 0.6, None, "times", _ratio(COLD, parts.PIPELINE)),
    Target("(d) a hot customer against (b)", "at least", 0.8, None, "times", _ratio(parts.HOT, parts.PIPELINE)),
    Target("(e) 2 KB events against (b)", "at least", None, None, "times", _ratio(parts.LARGE, parts.PIPELINE)),
    Target("freshness at 2,000 events/s, from 202 to visible, p99", "under", 400.0, 250.0, "ms", _freshness),
    Target("lookup at 2,000 requests/s with ingestion, p99", "under", 5.0, None, "ms", _lookup),
    Target("restore, as a share of a loop that reads and discards", "at least", 0.6, None, "times", _restore),
    Target("worker's resident memory in (c)", "under", _MIB_PER_GB, None, "MiB", _cold_memory),
)


def outcomes(results: Results, targets: Iterable[Target] = TARGETS) -> list[Outcome]:
    """Each target with its figure."""
    return [Outcome(each.name, each.bound, each.wanted, each.aim, each.unit, each.find(results)) for each in targets]


def headline(results: Results) -> dict[str, float | None]:
    """The figures of the report's last line; None where one was not measured."""
    pipeline = None if results.throughput is None else results.throughput.summary(parts.PIPELINE)
    found = {
        "context_vs_kafka_streams": _ratio(parts.CONTEXT_200, parts.STREAMS_200)(results),
        "context_vs_quix": _ratio(parts.CONTEXT_1000, parts.QUIX)(results),
        "pipeline_vs_kafka_streams": _ratio(parts.PIPELINE, parts.STREAMS_200)(results),
        "pipeline_events_per_second": None if pipeline is None else Figure(pipeline.events_per_second),
        "freshness_p99_ms": _freshness(results),
        "lookup_p99_ms": _lookup(results),
    }
    return {name: None if figure is None else round(figure.value, 3) for name, figure in found.items()}
