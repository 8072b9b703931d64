"""Fault points: free without a plan, a kill at the given pass with one."""

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import SettingError
from streams.faults import FaultPoint, fault_hook, no_fault

KILLED = """
import sys
from streams.faults import fault_hook
hook = fault_hook(sys.argv[1])
for number in range(5):
    hook("before_transaction")
    hook("after_commit")
    print(number, flush=True)
"""


@pytest.mark.parametrize("plan", [None, ""])
def test_without_a_plan_nothing_happens(plan: str | None) -> None:
    assert fault_hook(plan) is no_fault


@pytest.mark.parametrize(("plan", "passed"), [("after_commit", 0), ("after_commit:1", 0), ("after_commit:3", 2)])
def test_the_process_is_killed_at_the_pass(plan: str, passed: int) -> None:
    command = [sys.executable, "-c", KILLED, plan]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ended.returncode == -9
    assert len(ended.stdout.split()) == passed


@pytest.mark.parametrize("plan", ["somewhere", "after_commit:often", ":3"])
def test_a_plan_that_is_none_is_refused_with_all_points(plan: str) -> None:
    with pytest.raises(SettingError) as caught:
        fault_hook(plan)
    assert all(point in str(caught.value) for point in FaultPoint)
