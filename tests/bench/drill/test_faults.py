"""A fault hits the process that it names, lasts as long as it says, and ends when everything has to heal."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from bench.drill import faults
from bench.drill.faults import Faults
from bench.drill.installation import Installation
from bench.drill.schedule import WORKERS, Fault, FaultKind
from tests.waiting import until


class Drilled:
    """Processes that sleep, by name."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.wiped: list[str] = []
        self.armed: dict[str, str] = {}
        self.extra: list[str] = []

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        """Start one."""
        process = self.processes[name] = subprocess.Popen(["/bin/sleep", "60"])
        return process

    def pid(self, name: str) -> int | None:
        """Its id while it runs."""
        process = self.processes.get(name)
        return process.pid if process is not None and process.poll() is None else None

    def wipe(self, name: str) -> None:
        """Noted."""
        self.wiped.append(name)

    def arm(self, name: str, plan: str) -> None:
        """Noted."""
        self.armed[name] = plan

    def join(self) -> None:
        """Noted."""
        self.extra.append("came")

    async def leave(self) -> None:
        """Noted, when there is one."""
        if self.extra[-1:] == ["came"]:
            self.extra.append("left")


@pytest.fixture
def drilled() -> Iterator[Drilled]:
    drilled = Drilled()
    for name in WORKERS:
        drilled.start(name)
    yield drilled
    for process in drilled.processes.values():
        process.kill()
        process.wait()


@pytest.fixture
async def striking(drilled: Drilled) -> Faults:
    return Faults(cast("Installation", drilled))


def fault(kind: FaultKind, *targets: str, lasts: float = 0.0, plan: str = "") -> Fault:
    return Fault(1, 0.0, kind, targets, lasts, plan)


def is_stopped(drilled: Drilled, name: str) -> bool:
    return "\nState:\tT" in Path(f"/proc/{drilled.processes[name].pid}/status").read_text()


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (FaultKind.KILL_WORKER, signal.SIGKILL),
        (FaultKind.WIPE_WORKER, signal.SIGKILL),
        (FaultKind.KILL_AT_POINT, signal.SIGKILL),
        (FaultKind.STOP_WORKER, signal.SIGTERM),
    ],
)
async def test_a_worker_is_ended_by_the_signal_of_the_fault_and_the_other_one_is_not(
    drilled: Drilled, striking: Faults, kind: FaultKind, number: signal.Signals
) -> None:
    assert await striking.strike(fault(kind, "worker-1", plan="context/after_commit:1"))
    assert drilled.processes["worker-1"].wait(10) == -number
    assert drilled.pid("worker-0") is not None
    assert drilled.wiped == (["worker-1"] if kind is FaultKind.WIPE_WORKER else [])
    assert drilled.armed == ({"worker-1": "context/after_commit:1"} if kind is FaultKind.KILL_AT_POINT else {})
    assert striking.struck == {kind: 1}


async def test_both_workers_go_down_together(drilled: Drilled, striking: Faults) -> None:
    assert await striking.strike(fault(FaultKind.KILL_WORKERS, *WORKERS))
    assert [drilled.processes[name].wait(10) for name in WORKERS] == [-signal.SIGKILL] * 2


async def test_a_paused_worker_stands_still_and_wakes_up_by_itself(drilled: Drilled, striking: Faults) -> None:
    assert await striking.strike(fault(FaultKind.PAUSE_WORKER, "worker-0", lasts=0.3))
    await until(lambda: is_stopped(drilled, "worker-0"))
    await until(lambda: not is_stopped(drilled, "worker-0"))
    assert drilled.pid("worker-0") is not None


async def test_healing_wakes_who_would_sleep_on_and_sends_the_third_worker_away(
    drilled: Drilled, striking: Faults
) -> None:
    await striking.strike(fault(FaultKind.ZOMBIE_WORKER, "worker-0", lasts=1_000))
    await striking.strike(fault(FaultKind.EXTRA_WORKER, "worker-2", lasts=1_000))
    await until(lambda: is_stopped(drilled, "worker-0"))
    await asyncio.wait_for(striking.heal(), 10)
    await until(lambda: not is_stopped(drilled, "worker-0"))
    assert drilled.extra == ["came", "left"]


async def test_one_that_comes_back_is_waited_for_and_one_that_does_not_is_a_missed_fault(
    drilled: Drilled, striking: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asyncio.create_task(striking.strike(fault(FaultKind.KILL_LOOKUP, "lookup")))
    await asyncio.sleep(0)
    assert not waiting.done()
    drilled.start("lookup")
    assert await waiting
    assert drilled.processes["lookup"].wait(10) == -signal.SIGKILL
    monkeypatch.setattr(faults, "PATIENCE_SECONDS", 0.05)
    assert not await striking.strike(fault(FaultKind.KILL_LOOKUP, "lookup"))
    assert (striking.struck, striking.missed) == ({FaultKind.KILL_LOOKUP: 1}, 1)
