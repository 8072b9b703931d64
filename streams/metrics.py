"""The one metrics module: every metric of every process, named `goldenthread_*`, in base units, labels bounded.

Labels hold names of topics, partitions, stages, codes and routes, never an id or a value of an event. Known label sets
start at 0, so that a rate exists before the first event. docs/metrics.md is tested against this module.
"""

import math
from collections import Counter as CounterOf
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import generate_latest as _generate_latest

from schemas.enrichment.names import Outcome
from schemas.errors import DeadCode
from schemas.identity_changes import ChangeName
from schemas.levels import ANONYMOUS, IDENTIFIED, RECOGNISED
from schemas.roles import ATTACHED, HOME, JOINED, SHARED
from state.identity.guard import Alarm
from state.identity.joining import FORBIDDEN, LIMIT, UNIQUE
from streams.store_metrics import StoreMetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_DURATION_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
# After an outage of a day, events become visible a day late.
_END_TO_END_BUCKETS: Final = (
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0,
)  # fmt: skip
# The limit of the default policy is 100.
_CLUSTER_BUCKETS: Final = (2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_MEMBER_BUCKETS: Final = (100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0)
#: The service that measures how far everything is behind.
LAG_SERVICE: Final = "lookup"
#: The service that takes part in the consumer group.
WORKER_SERVICE: Final = "worker"
#: Who writes dead letters.
STAGES: Final = ("collect", "import", "intake", "identity", "context")
#: Why an event went no further though it is in no dead letter, and whether that is as it should be: a copy and a
#: record that was applied already are; who sent a refused one was told, and the lookup's log names an unreadable one.
DROP_REASONS: Final[Mapping[str, bool]] = {
    "duplicate": True,
    "skipped": True,
    "refused": False,
    "not_acknowledged": False,
    "unreadable": False,
}
#: How sure it is who a customer is, and how a fragment belongs to one.
LEVELS: Final = (IDENTIFIED, RECOGNISED, ANONYMOUS, SHARED)
ROLES: Final = (HOME, JOINED, ATTACHED, SHARED)
#: What stands against a link.
VETO_REASONS: Final = (FORBIDDEN, UNIQUE, LIMIT)


class Metrics:
    """All metrics of one process. Make one, hand it to what counts; nothing is global."""

    def __init__(self, service: str, version: str) -> None:
        # The time at which each counter was made would be as many series again, and nobody asks for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._service = service
        self.build_info = Info("goldenthread_build", "Version and service of this process.", registry=self.registry)
        self.build_info.info({"version": version, "service": service})
        self.ready = self._gauge("ready", "1 when the process says that it is ready.")
        self.process = ProcessCollector(namespace="goldenthread", registry=self.registry)
        self._define_events()
        self._define_streams()
        self._define_identity()
        self._define_edges()
        #: Of every open store.
        self.stores = StoreMetrics()
        self.registry.register(self.stores)

    def _define_events(self) -> None:
        self.events_received = self._counter(
            "events_received_total", "Events read or accepted, by stage and channel.", "stage", "channel"
        )
        self.events_processed = self._counter(
            "events_processed_total", "Events by what became of them.", "stage", "outcome"
        )
        self.events_dropped = self._counter(
            "events_dropped_total",
            "Events that went no further and are in no dead letter, by reason, and whether that is as it should be.",
            "stage", "reason", "intentional",
        )  # fmt: skip
        self.enrichments = self._counter(
            "enrichments_total", "Looks of enrichers at a field of an event, by what came of them.",
            "enricher", "outcome",
        )  # fmt: skip
        self.duplicates = self._counter(
            "duplicates_total", "Copies of events that were recognised and not counted again."
        )
        self.dead_letters = self._counter(
            "dead_letters_total", "Events sent to the dead topic, by stage and code.", "stage", "code"
        )
        self.records_written = self._counter(
            "records_written_total", "Records produced and acknowledged, by topic.", "topic"
        )
        self.bytes_written = self._counter(
            "written_bytes_total", "Bytes of keys and values produced and acknowledged, by topic.", "topic"
        )
        self.end_to_end_seconds = self._histogram(
            "end_to_end_duration_seconds",
            "Time from the broker's receipt of an event until the lookup shows it; not while the lookup catches up.",
            buckets=_END_TO_END_BUCKETS, only=LAG_SERVICE,
        )  # fmt: skip

    def _define_streams(self) -> None:
        self.batch_seconds = self._histogram(
            "batch_duration_seconds", "Time to process one batch of records, by stage.", "stage"
        )
        self.checkpoint_seconds = self._histogram(
            "checkpoint_duration_seconds", "Time of one checkpoint from drain to acknowledgement.", "stage"
        )
        self.checkpoint_outputs = self._counter(
            "checkpoint_outputs_total", "Records for other stages and readers that checkpoints wrote.", "stage"
        )
        self.checkpoint_rows = self._counter(
            "checkpoint_rows_total", "Changed rows of state that checkpoints wrote.", "stage"
        )
        self.checkpoint_timestamp = self._gauge(
            "last_checkpoint_timestamp_seconds", "When the newest checkpoint was done, since 1970.", "stage"
        )
        self.restore_records = self._counter(
            "restore_records_total", "Changelog records read to restore state.", "stage"
        )
        self.restore_remaining = self._gauge(
            "restore_remaining_records", "Changelog records that a restore has still to read; 0 when it is done.",
            "stage", "partition",
        )  # fmt: skip
        self.restore_seconds = self._histogram(
            "restore_duration_seconds", "Time to restore one partition.", "stage",
            buckets=(*_DURATION_BUCKETS, 60.0, 300.0, 1800.0),
        )  # fmt: skip
        self.accepted_gaps = self._gauge(
            "accepted_gaps", "Gaps that operators accepted in what a partition reads, or in its state.",
            "stage", "partition",
        )  # fmt: skip
        self.store_rebuilds = self._counter(
            "store_rebuilds_total", "Times that a store was made anew from its topic, by reason.", "store", "reason"
        )
        self.assigned_partitions = self._gauge(
            "assigned_partitions", "Partitions that this process runs, by stage.", "stage"
        )
        self.read_ahead_bytes = self._gauge(
            "read_ahead_bytes", "Memory of records that were fetched and are not committed yet, by stage.", "stage"
        )
        self.standstill_seconds = self._gauge(
            "standstill_seconds", "How long the oldest position has stood still though committed records wait.",
            only=WORKER_SERVICE,
        )  # fmt: skip
        self.rebalances = self._counter(
            "rebalances_total", "Times that the consumer group gave this worker its partitions.", only=WORKER_SERVICE
        )
        self.follower_ready = self._gauge("follower_ready", "1 when the follower has caught up once.", "follower")
        self.follower_remaining = self._gauge(
            "follower_remaining_records", "Records that a follower's first catch-up has still to read.", "follower"
        )
        self.follower_records = self._counter(
            "follower_records_total", "Records that a follower applied or passed by.", "follower"
        )
        self.lag_records = self._gauge(
            "lag_records", "Records that wait to be processed, by topic and partition.", "topic", "partition"
        )
        self.lag_seconds = self._gauge(
            "lag_seconds", "Age of the oldest record not yet in a context; 0 when nothing waits, NaN until known.",
            only=LAG_SERVICE,
        )  # fmt: skip
        self.lag_seconds.set(math.nan)

    def _define_identity(self) -> None:
        self.identity_changes = self._counter(
            "identity_changes_total", "Decisions about who is who, by what was decided.", "change"
        )
        self.identity_vetoes = self._counter(
            "identity_vetoes_total", "Links that join nothing, by what stands against them.", "reason"
        )
        self.identity_alarms = self._counter(
            "identity_alarms_total", "Times that a customer grew too large or too fast, or too many identifiers were "
            "found to be shared.", "alarm",
        )  # fmt: skip
        self.identity_cluster_identifiers = self._histogram(
            "identity_cluster_identifiers",
            "Identifying identifiers of one customer, each time that links among them are joined again.",
            buckets=_CLUSTER_BUCKETS, only=WORKER_SERVICE,
        )  # fmt: skip
        self.customer_members = self._histogram(
            "customer_members",
            "Identifiers of one customer, each time that one of 64 or more is published.",
            buckets=_MEMBER_BUCKETS, only=WORKER_SERVICE,
        )  # fmt: skip
        self.contexts = self._gauge(
            "contexts", "Customers that have a context in the lookup's copy, by level of identity.", "level"
        )
        self.policy_differs = self._gauge(
            "identity_policy_differs",
            "1 while the identity file of this worker decides otherwise than the policy in force, which counts.",
        )
        self.identifiers = self._gauge(
            "identifiers", "Identifiers seen together with others, by how they belong to a customer.", "role"
        )

    def _define_edges(self) -> None:
        self.http_seconds = self._histogram(
            "http_request_duration_seconds", "HTTP requests by route, method and status.",
            "service", "method", "route", "status",
        )  # fmt: skip
        self.requests_refused = self._counter(
            "requests_refused_total", "HTTP requests refused for want of a fitting key, by reason.", "service", "reason"
        )
        self.lookups = self._counter(
            "lookups_total", "Lookups by what was asked by and what came of it.", "by", "outcome"
        )
        self.sse_clients = self._gauge(
            "sse_clients", "Clients that follow server-sent events just now.", only=LAG_SERVICE
        )

    def expect_dead(self, stages: Iterable[str], channels: Iterable[str]) -> None:
        """Start the known label sets of the process's stages at 0."""
        channels = tuple(channels)
        for stage in stages:
            for code in DeadCode:
                self.dead_letters.labels(stage, code.value)
            for channel in channels:
                self.events_received.labels(stage, channel)

    def expect_agents(self, outcomes: Mapping[str, Iterable[str]], stateful: Iterable[str]) -> None:
        """Start what a worker's stages count at 0.

        Args:
            outcomes: Stages, each with what becomes of its events besides dead letters.
            stateful: Those of them that write checkpoints.
        """
        for stage, names in outcomes.items():
            self.batch_seconds.labels(stage)
            self.assigned_partitions.labels(stage)
            for outcome in (*names, *(code.value for code in DeadCode)):
                self.events_processed.labels(stage, outcome)
            self.expect_drops(stage, set(names) & DROP_REASONS.keys())
        for stage in stateful:
            self.checkpoint_seconds.labels(stage)
            self.checkpoint_outputs.labels(stage)
            self.checkpoint_rows.labels(stage)
            self.restore_records.labels(stage)
            self.restore_seconds.labels(stage)
        for change in ChangeName:
            self.identity_changes.labels(change.value)
        for reason in VETO_REASONS:
            self.identity_vetoes.labels(reason)
        for alarm in Alarm:
            self.identity_alarms.labels(alarm.value)

    def expect_enrichments(self, names: Iterable[str]) -> None:
        """Start what the enrichers of these names count at 0."""
        for name in names:
            for outcome in Outcome:
                self.enrichments.labels(name, outcome.value)

    def count_enrichments(self, counts: CounterOf[tuple[str, str]]) -> None:
        """Export what came of enrichers' looks, by enricher and outcome, and start counting anew."""
        for (enricher, outcome), number in counts.items():
            self.enrichments.labels(enricher, outcome).inc(number)
        counts.clear()

    def expect_written(self, topics: Iterable[str]) -> None:
        """Start what is written to these topics, by their full names, at 0."""
        for topic in topics:
            self.records_written.labels(topic)
            self.bytes_written.labels(topic)

    def expect_drops(self, stage: str, reasons: Iterable[str]) -> None:
        """Start the drops of a stage at 0."""
        for reason in reasons:
            self.drop(stage, reason, 0)

    def expect_routes(self, service: str, routes: Iterable[tuple[str, str, Iterable[int]]]) -> None:
        """Start the requests of a service at 0: methods, templates of routes, statuses."""
        for method, route, statuses in routes:
            for status in statuses:
                self.http_seconds.labels(service, method, route, str(status))

    def drop(self, stage: str, reason: str, number: int) -> None:
        """Count events that go no further, for one of `DROP_REASONS`."""
        self.events_dropped.labels(stage, reason, "true" if DROP_REASONS[reason] else "false").inc(number)

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return _generate_latest(self.registry)

    # What a metric without labels shows, it shows from the start: only the service that measures it may (`only`).

    def _registry(self, only: str | None) -> CollectorRegistry | None:
        return self.registry if only in (None, self._service) else None

    def _counter(self, name: str, meaning: str, *labels: str, only: str | None = None) -> Counter:
        return Counter(f"goldenthread_{name}", meaning, labels, registry=self._registry(only))

    def _gauge(self, name: str, meaning: str, *labels: str, only: str | None = None) -> Gauge:
        return Gauge(f"goldenthread_{name}", meaning, labels, registry=self._registry(only))

    def _histogram(
        self,
        name: str,
        meaning: str,
        *labels: str,
        buckets: tuple[float, ...] = _DURATION_BUCKETS,
        only: str | None = None,
    ) -> Histogram:
        return Histogram(f"goldenthread_{name}", meaning, labels, buckets=buckets, registry=self._registry(only))
