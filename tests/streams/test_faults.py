"""Fault points: free without a plan, an action at the given pass with one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.errors import RestartNeeded, SettingError
from streams.faults import FaultPoint, fault_hook, no_fault
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PASSING = """
import sys
from streams.faults import fault_hook
hook = fault_hook(sys.argv[1], "context")
for number in range(5):
    hook("before_transaction")
    hook("after_commit")
    print(number, flush=True)
"""


@pytest.mark.parametrize("plan", [None, "", "intake/intake_after_flush", "identity/after_commit=fail"])
def test_without_a_plan_for_the_stage_nothing_happens(plan: str | None) -> None:
    assert fault_hook(plan, "context") is no_fault


@pytest.mark.parametrize(
    ("plan", "passed"),
    [
        ("after_commit", 0),
        ("after_commit:1", 0),
        ("after_commit:3", 2),
        ("context/after_commit:3=kill", 2),
        ("identity/after_commit:2,context/after_commit:4", 3),
        ("after_commit:5, before_transaction:2", 1),
    ],
)
def test_the_process_is_killed_at_the_pass(plan: str, passed: int) -> None:
    command = [sys.executable, "-c", PASSING, plan]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(ended.stdout.split()) == passed


def test_a_stopped_process_goes_on_where_it_stood() -> None:
    command = [sys.executable, "-c", PASSING, "after_commit:2=stop"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def is_stopped() -> bool:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    wait_until(is_stopped)
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=30)
    assert output.split() == list("01234")
    assert process.returncode == 0


def test_a_failure_ends_as_any_other_that_a_restart_may_heal() -> None:
    hook = fault_hook("context/after_store:2=fail", "context")
    hook("after_store")
    with pytest.raises(RestartNeeded, match="GOLDENTHREAD_FAULT fails after_store"):
        hook("after_store")
    hook("after_store")


def test_a_wait_holds_the_step_once() -> None:
    hook = fault_hook("after_store=wait-0.2", "context")
    started = time.monotonic()
    hook("after_store")
    assert time.monotonic() - started >= 0.2
    started = time.monotonic()
    hook("after_store")
    assert time.monotonic() - started < 0.2


@pytest.mark.parametrize(
    "plan",
    [
        "somewhere", "after_commit:often", ":3", "after_commit:0", "after_commit:", "billing/after_commit",
        "/after_commit", "after_commit=explode", "after_commit=", "after_commit=wait-", "after_commit=wait-0",
        "after_commit=wait-nan", "after_commit=wait-9999", "after_commit,", ",",
    ],
)  # fmt: skip
def test_a_plan_that_is_none_is_refused_with_all_points(plan: str) -> None:
    with pytest.raises(SettingError) as caught:
        fault_hook(plan, "context")
    assert all(point in str(caught.value) for point in FaultPoint)
