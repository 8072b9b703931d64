"""Ties a child process to its parent: when the parent dies, however it dies, the kernel kills the child.

`lifeline(command)` wraps a command in this file, run as a script. The script asks the kernel for a SIGKILL at the
parent's death (PR_SET_PDEATHSIG) and then becomes the command by exec, so that it costs some 20 ms once and leaves no
process in between. Setting it in a `preexec_fn` instead would run Python between fork and exec, which can deadlock in a
program with threads.

The kernel watches the *thread* that started the child: start children from a thread that lives as long as the program,
which the main thread and its event loop do. Other systems than Linux have no such request; there the command just runs.

A child can be told to give way to others: on a machine that one program fills, those who answer somebody should not
wait behind those who work through what has come.

It imports the standard library alone, as it runs isolated from every installed package.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
# What shells answer for a command that can't be run.
EXIT_NOT_RUNNABLE: Final = 127
EXIT_PARENT_GONE: Final = 1
SESSION_NICENESS: Final = Path("/proc/self/autogroup")


def lifeline(command: Sequence[str], niceness: int = 0) -> list[str]:
    """The command to start instead of `command`, from this very process, so that it never outlives this process.

    Args:
        command: Program and arguments.
        niceness: How far it gives way to others that want a processor, as `nice` counts.
    """
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid()), str(niceness), *command]


def become(parent_pid: int, niceness: int, command: Sequence[str]) -> None:
    """Turn this process into the command, to be killed when the parent dies. Returns never.

    1. Ask the kernel. 2. See whether the parent died before that. 3. Undo what Python did to signals. 4. Give way.
    5. Exec.
    """
    # 1. Ask the kernel.
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    # 2. A parent that died earlier sends no signal any more, but then somebody else is our parent now.
    if os.getppid() != parent_pid:
        sys.exit(EXIT_PARENT_GONE)
    # 3. Python ignores these two, and exec hands ignored signals on.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    # 4. Give way.
    if niceness > 0:
        _give_way(niceness)
    # 5. Exec.
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - starting the given command without a shell is the purpose.
    except OSError as error:
        sys.stderr.write(f"{command[0]} can't be run: {error.strerror}\n")
        sys.exit(EXIT_NOT_RUNNABLE)


def _give_way(niceness: int) -> None:
    # A sandbox may refuse any of it, and then this process is like all others.
    with suppress(OSError):
        os.nice(niceness)
    if sys.platform == "linux":
        # It has its share all the same, but interrupts nobody whenever something comes for it.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # Where the kernel shares processors among sessions first, niceness counts within one: the session has its own.
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            SESSION_NICENESS.write_text(str(niceness), encoding="ascii")


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
