"""What processes use while they are measured, as the kernel counts it, and what a broker has on its disk."""

import os
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from bench.memory import MIB

# A look at all processes of the machine takes milliseconds, which the engine shall have.
INTERVAL_SECONDS: Final = 0.25
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_SIZE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_LOG_SUFFIX: Final = ".log"


class Usage(NamedTuple):
    """What all processes of some sessions have used so far, and hold."""

    processor_seconds: float
    resident_bytes: int


class Sample(NamedTuple):
    """One look."""

    #: Wall clock, seconds since 1970: what the broker stamps records by.
    time_s: float
    engine: Usage
    broker: Usage


class Used(NamedTuple):
    """What a span took."""

    processor_seconds: float
    #: The most at any look in the span, or next to it.
    resident_bytes: int

    @property
    def resident_mib(self) -> float:
        """As people read it."""
        return self.resident_bytes / MIB


def usage(sessions: Iterable[int]) -> Usage:
    """What the processes of these sessions have used, children that ended among them."""
    wanted = frozenset(sessions)
    seconds, resident = 0.0, 0
    for fields in _stats():
        # The session; user and system time, the same of ended children; resident pages. See proc_pid_stat(5).
        if int(fields[3]) in wanted:
            seconds += sum(map(int, fields[11:15])) / _TICKS
            resident += int(fields[21]) * _PAGE_SIZE_BYTES
    return Usage(seconds, resident)


def _stats() -> Iterator[list[str]]:
    """What follows the name in each process's line, the state first."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                yield Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue


class Sampler:
    """Looks at an engine and its broker a few times a second, in a thread; a context manager."""

    def __init__(self, engine: Iterable[int], broker: int) -> None:
        self._engine = frozenset(engine)
        self._broker = frozenset({broker})
        self._samples: list[Sample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def engine(self, began_s: float, ended_s: float) -> Used:
        """What the engine used between two times."""
        return used([(each.time_s, each.engine) for each in self._samples], began_s, ended_s)

    def broker(self, began_s: float, ended_s: float) -> Used:
        """What the broker used between two times."""
        return used([(each.time_s, each.broker) for each in self._samples], began_s, ended_s)

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            self._samples.append(Sample(time.time(), usage(self._engine), usage(self._broker)))


def used(looks: list[tuple[float, Usage]], began_s: float, ended_s: float) -> Used:
    """What was used between two times, which lie between looks: processor seconds are taken to grow evenly there."""
    # A short span may lie between two looks: those on either side of it count too.
    first = max(0, bisect_left(looks, began_s, key=_moment) - 1)
    held = [usage.resident_bytes for _, usage in looks[first : bisect_right(looks, ended_s, key=_moment) + 1]]
    return Used(_seconds_at(looks, ended_s) - _seconds_at(looks, began_s), max(held, default=0))


def _moment(look: tuple[float, Usage]) -> float:
    return look[0]


def _seconds_at(looks: list[tuple[float, Usage]], time_s: float) -> float:
    place = bisect_left(looks, time_s, key=_moment)
    if place == 0 or place == len(looks):
        return looks[min(place, len(looks) - 1)][1].processor_seconds if looks else 0.0
    (before_s, before), (after_s, after) = looks[place - 1], looks[place]
    share = (time_s - before_s) / (after_s - before_s)
    return before.processor_seconds + share * (after.processor_seconds - before.processor_seconds)


def log_sizes_bytes(topics_dir: Path, having: str) -> dict[str, int]:
    """What each topic whose name contains this has on the broker's disk, compressed as it is."""
    sizes: dict[str, int] = {}
    for folder in topics_dir.iterdir():
        topic, _, partition = folder.name.rpartition("-")
        if having in topic and partition.isdecimal():
            files = (each for each in folder.iterdir() if each.suffix == _LOG_SUFFIX)
            sizes[topic] = sizes.get(topic, 0) + sum(each.stat().st_size for each in files)
    return sizes


def folder_size_bytes(folder: Path) -> int:
    """What all files below a folder have; 0 where there is none."""
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
