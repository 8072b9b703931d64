"""What a process holds in memory and has used of processors, as the kernel counts it.

Pages of files that it reads are the machine's, not its.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

MIB: Final = 1024 * 1024
_KIB: Final = 1024


class Memory(NamedTuple):
    """Bytes of physical memory."""

    #: All of it: VmRSS.
    resident_bytes: int
    #: What is the process's alone, neither program text nor files: RssAnon.
    anonymous_bytes: int
    #: The most that it ever was: VmHWM.
    peak_bytes: int


def memory_of(pid: int) -> Memory | None:
    """The memory of a process; None of one that is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    figures = {name: value for name, _, value in (line.partition(":") for line in text.splitlines())}
    if "VmRSS" not in figures:
        return None
    resident, anonymous, peak = (int(figures[name].split()[0]) * _KIB for name in ("VmRSS", "RssAnon", "VmHWM"))
    return Memory(resident, anonymous, peak)


def processor_seconds_of(pid: int) -> float:
    """What all threads of a process have used of processors; 0 of one that is gone.

    Other than the clock's, these seconds say the same on a machine that others keep busy.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # User and system time, after the state and ten figures on processes, terminals and faults.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class ProcessorsUsed:
    """How much some processes use of processors, from when this is made.

    Args:
        pids: By the name that each is told under.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._began = time.monotonic()
        self._before = self._seconds()

    def average(self) -> dict[str, float]:
        """Processors that each used on average until now."""
        took = time.monotonic() - self._began
        return {name: round((now - self._before[name]) / took, 2) for name, now in self._seconds().items()}

    def _seconds(self) -> dict[str, float]:
        return {name: processor_seconds_of(pid) for name, pid in self._pids.items()}
