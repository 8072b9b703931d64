"""The soak: millions of events through one worker, whose memory must reach a plateau and stay there.

Events go straight into Kafka as fast as the worker carries them: never more than `IN_FLIGHT_EVENTS` are ahead of it.
Customers keep coming (`bench.steady_events`), so state grows far beyond every cache.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench.memory import MIB, Memory, memory_of, processor_seconds_of
from bench.own_system import OwnSystem
from bench.raw_feed import RawFeed
from bench.steady_events import steady_events
from schemas.errors import RestartNeeded

#: The mark that the end is held against: everything that fills up has done so.
WARM_EVENTS: Final = 500_000
RATIO_MAX: Final = 1.10
IN_FLIGHT_EVENTS: Final = 20_000
_BATCH_EVENTS: Final = 500
_SAMPLE_SECONDS: Final = 2.0
# A worker that folds nothing for so long is stuck. Until then it goes on, on a machine that others keep busy too: one
# that its watchdog started anew would begin with empty caches.
_STALL_SECONDS_MAX: Final = 600.0
_PATIENT: Final = {"GOLDENTHREAD_STANDSTILL_TIMEOUT_S": "300", "GOLDENTHREAD_SESSION_TIMEOUT_S": "60"}
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """The worker at one moment."""

    seconds: float
    events: int
    resident_mib: float
    anonymous_mib: float
    peak_mib: float
    #: What the worker has used of processors.
    processor_seconds: float

    @classmethod
    def of(cls, seconds: float, events: int, memory: Memory, processor_seconds: float) -> "Sample":
        """A sample from bytes."""
        resident, anonymous, peak = (round(figure / MIB, 1) for figure in memory)
        return cls(seconds, events, resident, anonymous, peak, processor_seconds)


@dataclass(slots=True)
class SoakReport:
    """What a soak saw."""

    events: int
    warm_events: int
    samples: list[Sample] = field(default_factory=list)
    merged: int = 0
    duplicates: int = 0
    dead: int = 0

    @property
    def warm(self) -> Sample:
        """The mark: the mean of the samples around it is the first at or past it."""
        return next((sample for sample in self.samples if sample.events >= self.warm_events), self.samples[-1])

    @property
    def ratio(self) -> float:
        """Resident memory at the end by that at the mark."""
        return self.samples[-1].resident_mib / self.warm.resident_mib

    def lines(self) -> Iterator[str]:
        """The report as text: about twenty samples, evenly spread."""
        yield f"{'events':>12}{'seconds':>10}{'CPU s':>10}{'RSS MiB':>10}{'anon MiB':>10}{'peak MiB':>10}"
        step = max(1, len(self.samples) // 20)
        for sample in (*self.samples[::step], self.samples[-1]):
            yield (
                f"{sample.events:12,}{sample.seconds:10.0f}{sample.processor_seconds:10.1f}{sample.resident_mib:10.1f}"
                f"{sample.anonymous_mib:10.1f}{sample.peak_mib:10.1f}"
            )
        yield f"{self.merged} identity changes, {self.duplicates} copies, {self.dead} dead letters"
        yield (
            f"RSS {self.warm.resident_mib:.0f} MiB at {self.warm.events:,} events, {self.samples[-1].resident_mib:.0f} "
            f"MiB at {self.samples[-1].events:,}: ratio {self.ratio:.3f}, at most {RATIO_MAX} is expected"
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self) | {"warm": asdict(self.warm), "ratio": round(self.ratio, 4)}


def soak(
    events: int,
    *,
    warm_events: int = WARM_EVENTS,
    seed: int = 1,
    in_flight_events: int = IN_FLIGHT_EVENTS,
    tell: Callable[[str], None] | None = None,
) -> SoakReport:
    """Send `events` events through a worker of its own and watch its memory.

    Raises:
        RestartNeeded: the worker ended, or folded nothing for ten minutes.
    """
    report = SoakReport(events, min(warm_events, events))
    with (
        tempfile.TemporaryDirectory(prefix="goldenthread-soak-") as folder,
        OwnSystem(Path(folder), _PATIENT) as system,
    ):
        watch = _Watch(system, system.start("worker"), report, tell)
        source = steady_events(seed)
        with RawFeed(system.bootstrap_servers) as feed:
            while watch.folded < events:
                room = min(in_flight_events - (feed.sent - watch.folded), events - feed.sent)
                for event in islice(source, max(0, min(room, _BATCH_EVENTS))):
                    feed.send(event.channel, event.value)
                if room <= _BATCH_EVENTS:
                    time.sleep(_POLL_SECONDS)
                    watch.look()
        metrics = system.metrics(system.worker_url)
        report.merged = int(metrics("goldenthread_identity_changes_total"))
        report.duplicates = int(metrics("goldenthread_duplicates_total"))
        report.dead = int(metrics("goldenthread_dead_letters_total"))
    return report


class _Watch:
    """Looks at the worker now and then: how far it is, and what it holds."""

    def __init__(self, system: OwnSystem, pid: int, report: SoakReport, tell: Callable[[str], None] | None) -> None:
        self._system = system
        self._pid = pid
        self._report = report
        self._tell = tell
        self._began = self._sampled = self._progressed = time.monotonic()
        self.folded = 0

    def look(self) -> None:
        """Take a sample when one is due.

        Raises:
            RestartNeeded: the worker has ended, or stands still.
        """
        self._system.verify_running("worker")
        now = time.monotonic()
        before, self.folded = self.folded, folded_events(self._system, self.folded)
        if self.folded > before:
            self._progressed = now
        if now - self._progressed > _STALL_SECONDS_MAX:
            raise RestartNeeded(f"the worker stands still at {self.folded:,} events:\n{self._system.log('worker')}")
        memory = memory_of(self._pid)
        if memory is not None and (now - self._sampled > _SAMPLE_SECONDS or self.folded >= self._report.events):
            self._sampled = now
            seconds = now - self._began
            self._report.samples.append(
                Sample.of(round(seconds, 1), self.folded, memory, processor_seconds_of(self._pid))
            )
            if self._tell is not None:
                self._tell(f"{self.folded:,} events in {seconds:.0f} s, RSS {memory.resident_bytes / MIB:.0f} MiB")


def folded_events(system: OwnSystem, before: int = 0) -> int:
    """How many events the worker is done with, dead letters included; `before` where it does not answer just now."""
    with suppress(OSError):
        metrics = system.metrics(system.worker_url)
        outcomes = ("applied", "duplicate")
        done = sum(metrics("goldenthread_events_processed_total", stage="context", outcome=name) for name in outcomes)
        return int(done + metrics("goldenthread_dead_letters_total"))
    return before
