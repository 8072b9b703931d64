"""The one metrics module: every metric of every process, named `goldenthread_*`, in base units, labels bounded.

Labels hold names of topics, partitions, stages, codes and routes, never an id or a value of an event. Known label sets
start at 0, so that a rate exists before the first event. docs/metrics.md is tested against this module.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client import generate_latest as _generate_latest

from schemas.errors import DeadCode

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_DURATION_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
#: The service that measures how far everything is behind.
LAG_SERVICE: Final = "lookup"
STAGES: Final = ("collect", "import", "intake", "identity", "context")


class Metrics:
    """All metrics of one process. Make one, hand it to what counts; nothing is global."""

    def __init__(self, service: str, version: str) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.build_info = Info("goldenthread_build", "Version and service of this process.", registry=registry)
        self.build_info.info({"version": version, "service": service})
        self.events_received = Counter(
            "goldenthread_events_received_total", "Events read or accepted, by stage and channel.",
            ("stage", "channel"), registry=registry,
        )  # fmt: skip
        self.events_processed = Counter(
            "goldenthread_events_processed_total", "Events by what became of them.",
            ("stage", "outcome"), registry=registry,
        )  # fmt: skip
        self.duplicates = Counter(
            "goldenthread_duplicates_total", "Copies of events that were recognised and not counted again.",
            registry=registry,
        )  # fmt: skip
        self.dead_letters = Counter(
            "goldenthread_dead_letters_total", "Events sent to the dead topic, by stage and code.",
            ("stage", "code"), registry=registry,
        )  # fmt: skip
        self.records_written = Counter(
            "goldenthread_records_written_total", "Records produced and acknowledged, by topic.",
            ("topic",), registry=registry,
        )  # fmt: skip
        self.bytes_written = Counter(
            "goldenthread_written_bytes_total", "Bytes of keys and values produced and acknowledged, by topic.",
            ("topic",), registry=registry,
        )  # fmt: skip
        self._define_streams(registry)
        self._define_edges(registry, service)

    def _define_streams(self, registry: CollectorRegistry) -> None:
        self.batch_seconds = Histogram(
            "goldenthread_batch_duration_seconds", "Time to process one batch of records, by stage.",
            ("stage",), buckets=_DURATION_BUCKETS, registry=registry,
        )  # fmt: skip
        self.checkpoint_seconds = Histogram(
            "goldenthread_checkpoint_duration_seconds", "Time of one checkpoint from drain to acknowledgement.",
            ("stage",), buckets=_DURATION_BUCKETS, registry=registry,
        )  # fmt: skip
        self.restore_records = Counter(
            "goldenthread_restore_records_total", "Changelog records read to restore state.",
            ("stage",), registry=registry,
        )  # fmt: skip
        self.restore_seconds = Histogram(
            "goldenthread_restore_duration_seconds", "Time to restore one partition.",
            ("stage",), buckets=(*_DURATION_BUCKETS, 60.0, 300.0, 1800.0), registry=registry,
        )  # fmt: skip
        self.assigned_partitions = Gauge(
            "goldenthread_assigned_partitions", "Partitions that this process runs, by stage.",
            ("stage",), registry=registry,
        )  # fmt: skip

    def _define_edges(self, registry: CollectorRegistry, service: str) -> None:
        self.lag_records = Gauge(
            "goldenthread_lag_records", "Records that wait to be processed, by topic and partition.",
            ("topic", "partition"), registry=registry,
        )  # fmt: skip
        # Without labels a gauge shows 0 from its start; only the process that measures this may show it.
        measured = registry if service == LAG_SERVICE else None
        self.lag_seconds = Gauge(
            "goldenthread_lag_seconds",
            "Age of the oldest record not yet in a context; 0 when nothing waits.",
            registry=measured,
        )
        self.contexts = Gauge(
            "goldenthread_contexts", "Customers that have a context in the lookup's copy.", registry=measured
        )
        self.follower_ready = Gauge(
            "goldenthread_follower_ready", "1 when the follower has caught up once.",
            ("follower",), registry=registry,
        )  # fmt: skip
        self.follower_records = Counter(
            "goldenthread_follower_records_total", "Records that a follower applied.",
            ("follower",), registry=registry,
        )  # fmt: skip
        self.http_seconds = Histogram(
            "goldenthread_http_request_duration_seconds", "HTTP requests by route, method and status.",
            ("service", "method", "route", "status"), buckets=_DURATION_BUCKETS, registry=registry,
        )  # fmt: skip
        self.requests_refused = Counter(
            "goldenthread_requests_refused_total", "HTTP requests refused for want of a fitting key, by reason.",
            ("service", "reason"), registry=registry,
        )  # fmt: skip
        self.lookups = Counter(
            "goldenthread_lookups_total", "Lookups by what was asked by and what came of it.",
            ("by", "outcome"), registry=registry,
        )  # fmt: skip

    def expect_dead(self, stages: Iterable[str], channels: Iterable[str]) -> None:
        """Start the known label sets of the process's stages at 0."""
        channels = tuple(channels)
        for stage in stages:
            for code in DeadCode:
                self.dead_letters.labels(stage, code.value)
            for channel in channels:
                self.events_received.labels(stage, channel)

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return _generate_latest(self.registry)
