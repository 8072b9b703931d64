"""The identity stage by itself: links a second, memory and disk, as identifiers grow in number."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bench.identity_speed.population import Customers
from bench.memory import MIB, memory_of
from goldenthread.identity_alone import CHECKPOINT_RECORDS, IdentityAlone
from schemas.keys import Keyring

#: For evidence that nobody but this benchmark reads.
SECRET: Final = b"a secret for benchmarks only"
# RocksDB's pace changes as it compacts; a mark is the mean since the mark before.
_MARKS: Final = 4
# The last line says what so many times as many would take.
_AHEAD: Final = 10


class Mark(NamedTuple):
    """How it stands at so many identifiers."""

    identifiers: int
    links: int
    #: New links a second of the processor's time, and by the clock, since the mark before; making the evidence aside.
    links_per_cpu_second: float
    links_per_second: float
    resident_mib: float
    peak_mib: float
    disk_mib: float
    #: Seconds of the processor for a search through all, for suspects and the largest; 0 where none was made.
    search_seconds: float = 0.0


def measure(folder: Path, identifiers: int, seed: int = 1, tell: Callable[[str], None] | None = None) -> list[Mark]:
    """Feed evidence until there are so many identifiers; a mark at each quarter."""
    keyring = Keyring(SECRET)
    marks: list[Mark] = []
    source = iter(Customers(keyring, seed))
    found = links = 0
    with IdentityAlone(folder, keyring) as stage:
        for quarter in range(1, _MARKS + 1):
            cpu = clock = 0.0
            before = links
            while (missing := identifiers * quarter // _MARKS - found) > 0:
                batch = list(itertools.islice(source, min(CHECKPOINT_RECORDS, missing)))
                cpu_started, clock_started = time.process_time(), time.perf_counter()
                stage.take(link.value for link in batch)
                cpu += time.process_time() - cpu_started
                clock += time.perf_counter() - clock_started
                found += sum(link.identifiers for link in batch)
                links += sum(link.pairs for link in batch)
            search = _search_seconds(stage) if quarter == _MARKS else 0.0
            resident, peak, disk = _sizes(folder)
            new = links - before
            mark = Mark(found, links, new / cpu, new / clock, resident / MIB, peak / MIB, disk / MIB, search)
            marks.append(mark)
            if tell is not None:
                tell(line(mark))
    return marks


def _search_seconds(stage: IdentityAlone) -> float:
    started = time.process_time()
    stage.foremost_suspects(50)
    stage.largest_customers(20)
    return time.process_time() - started


def _sizes(folder: Path) -> tuple[int, int, int]:
    """Bytes of memory, now and at the most, and of disk."""
    memory = memory_of(os.getpid())
    resident, peak = (0, 0) if memory is None else (memory.resident_bytes, memory.peak_bytes)
    return resident, peak, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def line(mark: Mark) -> str:
    """The mark as text."""
    return (
        f"{mark.identifiers:12,}{mark.links:12,}{mark.links_per_cpu_second:14,.0f}{mark.links_per_second:12,.0f}"
        f"{mark.resident_mib:10,.0f}{mark.peak_mib:10,.0f}{mark.disk_mib:10,.0f}{mark.search_seconds:10.1f}"
    )


def lines(marks: list[Mark]) -> Iterator[str]:
    """The marks as a table, and what ten million would take if growth goes on as from the first mark to the last."""
    yield (
        f"{'identifiers':>12}{'links':>12}{'links/CPU s':>14}{'links/s':>12}{'RSS MiB':>10}{'peak MiB':>10}"
        f"{'disk MiB':>10}{'search s':>10}"
    )
    for mark in marks:
        yield line(mark)
    first, last = marks[0], marks[-1]
    ahead = last.identifiers * _AHEAD
    share = (ahead - last.identifiers) / max(1, last.identifiers - first.identifiers)
    memory = last.resident_mib + share * (last.resident_mib - first.resident_mib)
    yield f"{ahead:12,} identifiers, extrapolated: RSS {memory:,.0f} MiB, disk {last.disk_mib * _AHEAD:,.0f} MiB"
