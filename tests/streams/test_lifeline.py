"""A child on a lifeline dies with its parent and is otherwise left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.lifeline import EXIT_NOT_RUNNABLE, EXIT_PARENT_GONE, lifeline

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0
PARENT = """
import subprocess, sys, time
from streams.lifeline import lifeline
child = subprocess.Popen(lifeline([sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]),
                         stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def is_gone(pid: int) -> bool:
    """Whether the process has ended, be it that nobody has asked for its code yet."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.crash
def test_a_child_does_not_outlive_its_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        assert not is_gone(child_pid)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + DEADLINE_S
    while not is_gone(child_pid):
        assert time.monotonic() < deadline, f"process {child_pid} outlived its parent"
        time.sleep(0.01)


def test_a_command_gets_its_arguments_and_gives_its_code() -> None:
    command = [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "a b", "", "-I"]
    answer = subprocess.run(lifeline(command), capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (7, "['a b', '', '-I']\n")


def test_signals_are_as_a_shell_would_leave_them() -> None:
    answer = subprocess.run(lifeline(["sh", "-c", "grep SigIgn /proc/self/status"]), capture_output=True, check=True)
    ignored = int(answer.stdout.split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


def test_a_command_that_can_not_be_run_says_so() -> None:
    answer = subprocess.run(lifeline(["/no/such/program"]), capture_output=True, text=True, check=False)
    assert answer.returncode == EXIT_NOT_RUNNABLE
    assert "/no/such/program can't be run" in answer.stderr


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    command = lifeline(["echo", "started"])
    command[command.index(str(os.getpid()))] = "1"
    answer = subprocess.run(command, capture_output=True, check=False)
    assert (answer.returncode, answer.stdout) == (EXIT_PARENT_GONE, b"")


def test_a_command_that_gives_way_is_nicer_and_interrupts_nobody_in_a_session_and_without_one() -> None:
    says = "import os; print(os.nice(0), os.sched_getscheduler(0) == os.SCHED_BATCH)"
    asks = "import os; os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    # A sandbox may refuse it.
    is_allowed = subprocess.run([sys.executable, "-c", asks], capture_output=True, check=False).returncode == 0
    for new_session in (False, True):
        for niceness, expected in ((0, False), (3, is_allowed)):
            command = lifeline([sys.executable, "-c", says], niceness)
            answer = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=new_session)
            assert answer.stdout == f"{os.nice(0) + niceness} {expected}\n"
