"""What a process holds in memory, as the kernel counts it. Pages of files that it reads are the machine's, not its."""

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
