"""Overload: for a while far more events arrive than the worker takes. Memory stays, lag tells it, nothing is lost.

The worker is throttled by its own setting, so that the overload is the same on every machine; then the throttle is
lifted, by a restart, and it has to catch up. Whether anything was lost or doubled is read from the public topics.
"""

import math
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.memory import MIB, memory_of
from bench.own_system import OwnSystem
from bench.raw_feed import RawFeed
from bench.soak import folded_events
from bench.steady_events import SteadyEvent, steady_events
from schemas.errors import RestartNeeded
from schemas.topics import DEFAULT_PREFIX, Topic
from streams.bulk import read_all
from streams.kafka import KafkaOptions

#: What memory may grow by while the backlog does, once caches are warm.
RATIO_MAX: Final = 1.10
_SAMPLE_SECONDS: Final = 1.0
_STALL_SECONDS_MAX: Final = 120.0
# A lag of 0 may be older than what was sent just now.
_QUIET_SAMPLES: Final = 3
# The flood is sent in so many pieces a second.
_PIECES_PER_SECOND: Final = 20
_DECODER: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent, and what the worker takes."""

    #: Events before the flood, which fill the worker's caches.
    warm_events: int = 100_000
    flood_per_second: int = 20_000
    flood_seconds: float = 60.0
    throttle_per_second: int = 2_000
    padding_bytes: int = 0
    partitions: int = 4
    seed: int = 1
    settings: dict[str, str] = field(default_factory=dict)
    #: A broker that is there already, and the prefix of topics there; None starts one.
    bootstrap_servers: str | None = None
    prefix: str = DEFAULT_PREFIX


@dataclass(frozen=True, slots=True)
class Sample:
    """The system at one moment of a run."""

    phase: str
    seconds: float
    sent: int
    folded: int
    #: As the lookup tells it; None where it does not know.
    lag_seconds: float | None
    worker_mib: float
    lookup_mib: float


@dataclass(slots=True)
class OverloadReport:
    """What an overload did."""

    plan: Plan
    samples: list[Sample] = field(default_factory=list)
    distinct: int = 0
    lost: int = 0
    doubled: int = 0
    counted: int = 0
    dead: int = 0
    catch_up_seconds: float = 0.0

    def flood(self) -> list[Sample]:
        """The samples of the flood."""
        return [sample for sample in self.samples if sample.phase == "flood"]

    @property
    def ratio(self) -> float:
        """The most that the worker held after the first fifth of the flood, by what it held by then."""
        flood = self.flood()
        settled = flood[len(flood) // 5 :]
        return max(sample.worker_mib for sample in settled) / settled[0].worker_mib

    @property
    def lag_seconds_max(self) -> float:
        """The most that the lookup told."""
        return max((sample.lag_seconds or 0.0 for sample in self.samples), default=0.0)

    @property
    def is_exact(self) -> bool:
        """Whether every event is in a context, once."""
        return not self.lost and not self.doubled and self.counted == self.distinct

    def lines(self) -> Iterator[str]:
        """The report as text: about twenty samples, evenly spread."""
        yield f"{'phase':>10}{'seconds':>9}{'sent':>11}{'folded':>11}{'lag s':>8}{'worker MiB':>12}{'lookup MiB':>12}"
        step = max(1, len(self.samples) // 20)
        for sample in (*self.samples[::step], self.samples[-1]):
            lag = "-" if sample.lag_seconds is None else f"{sample.lag_seconds:.1f}"
            yield (
                f"{sample.phase:>10}{sample.seconds:9.0f}{sample.sent:11,}{sample.folded:11,}{lag:>8}"
                f"{sample.worker_mib:12.1f}{sample.lookup_mib:12.1f}"
            )
        yield f"memory during the flood: ratio {self.ratio:.3f}, at most {RATIO_MAX} is expected of warm caches"
        yield f"lag at most {self.lag_seconds_max:.1f} s, caught up {self.catch_up_seconds:.1f} s after the throttle"
        yield (
            f"{self.distinct} events: {self.lost} not on `interactions`, {self.doubled} doubled, "
            f"{self.counted} counted in contexts, {self.dead} dead letters"
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self) | {"ratio": round(self.ratio, 4), "lag_seconds_max": self.lag_seconds_max}


def overload(plan: Plan, tell: Callable[[str], None] | None = None) -> OverloadReport:
    """Run one overload against a system of its own.

    1. Throttle, and warm up with as much as the worker takes. 2. Flood. 3. Lift the throttle by a restart, and wait
    until all is folded. 4. Read what came out.

    Raises:
        RestartNeeded: a process ended, or the worker stands still.
    """
    report = OverloadReport(plan)
    with (
        tempfile.TemporaryDirectory(prefix="goldenthread-overload-") as folder,
        OwnSystem(Path(folder), _settings(plan), bootstrap_servers=plan.bootstrap_servers) as system,
        RawFeed(system.bootstrap_servers, prefix=plan.prefix) as feed,
    ):
        run = _Run(report, system, feed, tell)
        # Step 1.
        run.start_worker(throttle=plan.throttle_per_second)
        if plan.warm_events:
            run.send_at(run.take(plan.warm_events), plan.throttle_per_second)
            run.wait_folded("warm-up")
        # Step 2.
        events = run.take(int(plan.flood_per_second * plan.flood_seconds))
        flood = threading.Thread(target=run.send_at, args=(events, plan.flood_per_second), daemon=True)
        flood.start()
        while flood.is_alive():
            run.look("flood")
            time.sleep(_SAMPLE_SECONDS)
        feed.flush()
        run.look("flood")
        # Step 3.
        began = time.monotonic()
        run.start_worker(throttle=0)
        run.wait_folded("catch-up")
        report.catch_up_seconds = round(time.monotonic() - began, 1)
        # Step 4.
        _read_back(report, run.distinct, system.bootstrap_servers)
    return report


def _settings(plan: Plan) -> dict[str, str]:
    ours = {"GOLDENTHREAD_PARTITIONS": str(plan.partitions), "GOLDENTHREAD_TOPIC_PREFIX": plan.prefix}
    return ours | plan.settings


class _Run:
    """One run: what was sent, and how far each worker has come."""

    def __init__(
        self, report: OverloadReport, system: OwnSystem, feed: RawFeed, tell: Callable[[str], None] | None
    ) -> None:
        self._report = report
        self._system = system
        self._feed = feed
        self._tell = tell
        self._source = steady_events(report.plan.seed, padding_bytes=report.plan.padding_bytes)
        self._began = time.monotonic()
        self._lookup = system.start("lookup")
        self._worker: int | None = None
        # What workers before this one folded.
        self._folded_before = 0
        self._folded_now = 0
        self.distinct: set[str] = set()

    def take(self, count: int) -> Iterator[SteadyEvent]:
        """The next events."""
        for _ in range(count):
            event = next(self._source)
            self.distinct.add(event.id)
            yield event

    def send_at(self, events: Iterator[SteadyEvent], per_second: int) -> None:
        """Send them all, so many a second; 0 is as fast as the broker takes them."""
        began, piece = time.monotonic(), max(1, per_second // _PIECES_PER_SECOND)
        for sent, event in enumerate(events, 1):
            self._feed.send(event.channel, event.value)
            if per_second and sent % piece == 0:
                time.sleep(max(0.0, began + sent / per_second - time.monotonic()))

    def start_worker(self, throttle: int) -> None:
        """Start a worker in the place of the one that runs, if any."""
        if self._worker is not None:
            self._system.stop("worker")
            self._folded_before += self._folded_now
            self._folded_now = 0
        self._worker = self._system.start("worker", {"GOLDENTHREAD_INTAKE_EVENTS_PER_SECOND_MAX": str(throttle)})

    def look(self, phase: str) -> int:
        """Take a sample; returns how many events are folded.

        Raises:
            RestartNeeded: a process has ended.
        """
        for name in ("worker", "lookup"):
            self._system.verify_running(name)
        self._folded_now = folded_events(self._system, self._folded_now)
        lag: float | None = None
        with suppress(OSError):
            told = self._system.metrics(self._system.lookup_url)("goldenthread_lag_seconds")
            lag = None if math.isnan(told) else told
        memory = [memory_of(pid) for pid in (self._worker or 0, self._lookup)]
        worker, lookup = (0.0 if each is None else round(each.resident_bytes / MIB, 1) for each in memory)
        seconds = round(time.monotonic() - self._began, 1)
        folded = self._folded_before + self._folded_now
        self._report.samples.append(Sample(phase, seconds, self._feed.sent, folded, lag, worker, lookup))
        if self._tell is not None:
            self._tell(f"{phase}: {self._feed.sent:,} sent, {folded:,} folded, lag {lag} s, worker {worker} MiB")
        return folded

    def wait_folded(self, phase: str) -> None:
        """Return once the lookup has told several times that nothing waits.

        Raises:
            RestartNeeded: a process has ended, or nothing was folded for two minutes.
        """
        self._feed.flush()
        folded, progressed, quiet = -1, time.monotonic(), 0
        while quiet < _QUIET_SAMPLES:
            before, folded = folded, self.look(phase)
            quiet = quiet + 1 if self._report.samples[-1].lag_seconds == 0 else 0
            if folded > before or quiet:
                progressed = time.monotonic()
            if time.monotonic() - progressed > _STALL_SECONDS_MAX:
                raise RestartNeeded(f"{phase}: the worker stands still at {folded:,}\n{self._system.log('worker')}")
            time.sleep(_SAMPLE_SECONDS)


def _read_back(report: OverloadReport, sent: set[str], bootstrap_servers: str) -> None:
    """Count each event on the enriched stream, and what the newest contexts count."""
    kafka, partitions, prefix = KafkaOptions(bootstrap_servers), report.plan.partitions, report.plan.prefix
    seen = Counter(
        _DECODER.decode(record.value)["id"]
        for record in read_all(kafka, prefix + Topic.INTERACTIONS, partitions)
        if record.value is not None
    )
    counts: dict[bytes | None, int] = {}
    for record in read_all(kafka, prefix + Topic.CONTEXT, partitions):
        document = None if record.value is None else _DECODER.decode(record.value)
        counts[record.key] = 0 if document is None else document["interactions"]["count"]
    report.dead = sum(1 for _ in read_all(kafka, prefix + Topic.DEAD, 1))
    report.distinct = len(sent)
    report.lost = len(sent - seen.keys())
    report.doubled = sum(count - 1 for count in seen.values()) + len(seen.keys() - sent)
    report.counted = sum(counts.values())
