"""The supervisor against small real processes: starts, restarts, stops and what is left behind."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goldenthread.supervisor.child_spec import ChildEvent, ChildSpec, ChildState, RestartPolicy
from goldenthread.supervisor.supervisor import Supervisor
from schemas.errors import EXIT_DONE, EXIT_OPERATOR, EXIT_RESTART, EXIT_USAGE
from tests.waiting import until

DEADLINE_S = 20.0
QUICK = RestartPolicy(backoff_min_s=0.02, backoff_max_s=0.05, jitter=0.0, restarts_max=3)
# Runs until SIGTERM; then it notes its name in the file that all children share.
SERVE = """
    import pathlib, signal, sys
    name, notes = sys.argv[1], pathlib.Path(sys.argv[2])
    def note(word):
        with notes.open("a") as file:
            file.write(f"{name} {word}\\n")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(note("stopped")))
    note("started")
    while True:
        signal.pause()
"""


def child(name: str, script: str, *arguments: object, **options: Any) -> ChildSpec:
    command = (sys.executable, "-c", textwrap.dedent(script), name, *map(str, arguments))
    return replace(ChildSpec(name=name, command=command), **options)


def exiting(name: str, code: int, **options: Any) -> ChildSpec:
    return child(name, f"import sys; print('about to end'); sys.exit({code})", **options)


def exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return path.exists()  # noqa: ASYNC240 - one look at a local file.

    return check


class Stage:
    """A supervisor, what it reported, and the notes that its children left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notes = directory / "notes"
        self.events: list[ChildEvent] = []

    def server(self, name: str, **options: Any) -> ChildSpec:
        """A child that runs until it is stopped, and is ready once it can be."""
        return child(name, SERVE, self.notes, **{"ready": self.noted(f"{name} started"), **options})

    def supervisor(self, *specs: ChildSpec, policy: RestartPolicy = QUICK) -> Supervisor:
        """Of these children."""
        return Supervisor(specs, log_dir=self.directory / "logs", policy=policy, on_event=self.events.append)

    def noted(self, line: str) -> Callable[[], Awaitable[bool]]:
        """A check for a line in the notes."""

        async def check() -> bool:
            return line in self.lines()

        return check

    def lines(self) -> list[str]:
        """All notes."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def states(self, name: str) -> list[ChildState]:
        """The states that a child went through."""
        return [event.status.state for event in self.events if event.status.name == name]

    def state(self, name: str) -> ChildState | None:
        """The state that was reported last for a child."""
        return next(iter(reversed(self.states(name))), None)

    def details(self, name: str, state: ChildState) -> list[str]:
        """The details of a child's events of that state."""
        return [event.detail for event in self.events if event.status[:2] == (name, state)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_children_start_in_order_and_a_signal_stops_them_in_reverse(stage: Stage, number: signal.Signals) -> None:
    init = child("init", "import pathlib, sys; open(sys.argv[2], 'a').write('init done\\n')", stage.notes)
    supervisor = stage.supervisor(
        stage.server("broker"),
        replace(init, needs=("broker",), one_shot=True),
        stage.server("worker", needs=("init",)),
        stage.server("lookup", needs=("worker",)),
    )
    running = asyncio.create_task(supervisor.run())
    assert await supervisor.wait_ready()
    assert [status.state for status in supervisor.status()] == ["ready", "done", "ready", "ready"]
    os.kill(os.getpid(), number)
    assert await running == EXIT_DONE
    assert supervisor.failure is None
    assert stage.lines() == [
        "broker started",
        "init done",
        "worker started",
        "lookup started",
        "lookup stopped",
        "worker stopped",
        "broker stopped",
    ]
    assert stage.states("worker") == ["starting", "ready", "stopping", "stopped"]


async def test_a_killed_child_is_started_again_and_the_others_stay(stage: Stage) -> None:
    supervisor = stage.supervisor(stage.server("broker"), stage.server("worker", needs=("broker",)))
    running = asyncio.create_task(supervisor.run())
    assert await supervisor.wait_ready()
    broker, worker = supervisor.status()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    await until(lambda: supervisor.status()[1].restarts == 1 and supervisor.status()[1].state is ChildState.READY)
    assert supervisor.status()[1].pid not in (worker.pid, None)
    assert supervisor.status()[0] == broker
    assert "was killed by signal 9" in stage.details("worker", ChildState.BACKING_OFF)[0]
    supervisor.request_stop()
    assert await running == EXIT_DONE


async def test_too_many_restarts_stop_all_and_say_why(stage: Stage) -> None:
    supervisor = stage.supervisor(stage.server("broker"), exiting("worker", EXIT_RESTART, needs=("broker",)))
    assert await supervisor.run() == EXIT_RESTART
    assert supervisor.failure is not None
    assert supervisor.failure[:3] == ("worker", "ended with code 3, and was restarted 3 times in 300 s", EXIT_RESTART)
    assert "about to end" in supervisor.failure.last_lines
    assert str(stage.directory / "logs" / "worker.log") in str(supervisor.failure)
    assert stage.states("worker").count(ChildState.STARTING) == 4
    delays = [detail.rsplit(" ", 2)[1] for detail in stage.details("worker", ChildState.BACKING_OFF)]
    assert delays == ["0.0", "0.0", "0.1"]
    assert stage.lines()[-1] == "broker stopped"


async def test_restarts_long_ago_do_not_count(stage: Stage) -> None:
    policy = replace(QUICK, restarts_max=1, window_s=0.001)
    supervisor = stage.supervisor(exiting("worker", EXIT_RESTART), policy=policy)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.status()[0].restarts > 3)
    supervisor.request_stop()
    assert await running == EXIT_DONE


@pytest.mark.parametrize(
    ("code", "own_code", "reason"),
    [(EXIT_OPERATOR, EXIT_OPERATOR, "decision"), (EXIT_USAGE, EXIT_RESTART, "settings"), (127, 3, "can't be run")],
)
async def test_an_end_that_no_restart_heals_stops_all_at_once(
    stage: Stage, code: int, own_code: int, reason: str
) -> None:
    supervisor = stage.supervisor(stage.server("broker"), exiting("worker", code, needs=("broker",)))
    assert await supervisor.run() == own_code
    assert supervisor.failure is not None
    assert supervisor.failure.exit_code == code
    assert reason in supervisor.failure.reason
    assert stage.states("worker").count(ChildState.STARTING) == 1
    assert stage.lines() == ["broker started", "broker stopped"]
    assert not await supervisor.wait_ready()


async def test_a_child_that_has_worked_may_end_as_if_its_settings_were_wrong(stage: Stage) -> None:
    """A worker gives up a broker that is away for an hour by the code of a wrong address; it was right before."""
    give_up = f"""
        import pathlib, sys, time
        pathlib.Path(sys.argv[2]).write_text("up")
        time.sleep(0.5)
        sys.exit({EXIT_USAGE})
    """
    supervisor = stage.supervisor(child("worker", give_up, stage.notes, ready=stage.noted("up")))
    assert await supervisor.run() == EXIT_RESTART
    assert supervisor.failure is not None
    assert "was restarted 3 times" in supervisor.failure.reason


async def test_children_wait_for_a_missing_broker(stage: Stage) -> None:
    """While the broker is away, a worker that gives up for that reason is neither blamed nor started again."""
    gate = stage.directory / "gate"
    gate.touch()
    give_up = f"""
        import os, pathlib, sys, time
        gate = pathlib.Path({str(gate)!r})
        while gate.exists():
            time.sleep(0.005)
        sys.exit({EXIT_USAGE})
    """
    supervisor = stage.supervisor(
        stage.server("broker", ready=exists(gate)),
        exiting("init", EXIT_DONE, needs=("broker",), one_shot=True),
        child("worker", give_up, needs=("init",)),
    )
    running = asyncio.create_task(supervisor.run())
    assert await supervisor.wait_ready()
    gate.unlink()
    broker = supervisor.status()[0]
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    await until(lambda: stage.state("worker") is ChildState.WAITING)
    assert stage.details("worker", ChildState.WAITING)[-1] == "for broker"
    assert stage.state("broker") is not ChildState.READY
    gate.touch()
    await until(lambda: stage.state("worker") is ChildState.READY)
    supervisor.request_stop()
    assert await running == EXIT_DONE


async def test_a_one_shot_is_tried_again_until_it_succeeds(stage: Stage) -> None:
    script = """
        import pathlib, sys
        notes = pathlib.Path(sys.argv[2])
        tried = notes.exists()
        notes.touch()
        sys.exit(0 if tried else 3)
    """
    supervisor = stage.supervisor(replace(child("init", script, stage.notes), one_shot=True))
    assert await supervisor.run() == EXIT_DONE
    assert stage.states("init") == ["starting", "backing off", "starting", "done"]


async def test_a_child_that_never_gets_ready_stops_all(stage: Stage) -> None:
    never = exists(stage.directory / "never")
    supervisor = stage.supervisor(stage.server("broker", ready=never, ready_deadline_s=0.3))
    assert await supervisor.run() == EXIT_RESTART
    assert supervisor.failure is not None
    assert supervisor.failure.reason == "was not ready within 0.3 s"
    assert supervisor.status()[0].state is ChildState.FAILED


async def test_a_one_shot_that_hangs_stops_all(stage: Stage) -> None:
    supervisor = stage.supervisor(stage.server("init", one_shot=True, ready_deadline_s=0.3))
    assert await supervisor.run() == EXIT_RESTART
    assert supervisor.failure is not None
    assert supervisor.failure[:2] == ("init", "was not ready within 0.3 s")


async def test_a_ready_check_that_raises_stops_all_and_is_raised(stage: Stage) -> None:
    async def broken() -> bool:
        raise ZeroDivisionError

    supervisor = stage.supervisor(stage.server("broker"), stage.server("worker", needs=("broker",), ready=broken))
    with pytest.raises(ZeroDivisionError):
        await supervisor.run()
    assert "broker stopped" in stage.lines()


STUBBORN = """
    import pathlib, signal, sys
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(sys.argv[2], "a").write("stubborn started\\n")
    while True:
        signal.pause()
"""


async def test_a_child_that_does_not_stop_is_killed_after_its_deadline(stage: Stage) -> None:
    stubborn = child("stubborn", STUBBORN, stage.notes, ready=stage.noted("stubborn started"), stop_deadline_s=0.2)
    supervisor = stage.supervisor(stage.server("broker"), stubborn)
    running = asyncio.create_task(supervisor.run())
    assert await supervisor.wait_ready()
    supervisor.request_stop()
    async with asyncio.timeout(DEADLINE_S):
        assert await running == EXIT_DONE
    assert stage.lines()[-1] == "broker stopped"


async def test_a_second_signal_hurries(stage: Stage) -> None:
    stubborn = child("stubborn", STUBBORN, stage.notes, ready=stage.noted("stubborn started"), stop_deadline_s=3600.0)
    supervisor = stage.supervisor(stubborn)
    running = asyncio.create_task(supervisor.run())
    assert await supervisor.wait_ready()
    os.kill(os.getpid(), signal.SIGINT)
    await until(lambda: stage.state("stubborn") is ChildState.STOPPING)
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(DEADLINE_S):
        assert await running == EXIT_DONE


async def test_a_stop_during_waits_and_backoffs_starts_nothing_more(stage: Stage) -> None:
    slow = replace(QUICK, backoff_min_s=3600.0, backoff_max_s=3600.0)
    supervisor = stage.supervisor(
        exiting("broker", 3, ready=exists(stage.directory / "never")), stage.server("worker", needs=("broker",)),
        policy=slow,
    )  # fmt: skip
    running = asyncio.create_task(supervisor.run())
    await until(lambda: stage.state("broker") is ChildState.BACKING_OFF)
    supervisor.request_stop()
    assert await running == EXIT_DONE
    assert not await supervisor.wait_ready()
    assert [status.state for status in supervisor.status()] == [ChildState.STOPPED] * 2
    assert stage.lines() == []


async def test_a_grandchild_that_keeps_the_output_open_does_not_hold_up_the_stop(stage: Stage) -> None:
    script = """
        import subprocess, sys
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open(sys.argv[2], "w").write(str(grandchild.pid))
    """
    supervisor = stage.supervisor(replace(child("init", script, stage.notes), one_shot=True))
    async with asyncio.timeout(DEADLINE_S):
        assert await supervisor.run() == EXIT_DONE
    grandchild = Path(f"/proc/{stage.notes.read_text()}/status")
    await until(lambda: not grandchild.exists() or "\nState:\tZ" in grandchild.read_text())


async def test_output_goes_to_the_childs_log(stage: Stage) -> None:
    script = "import sys; print('to output', flush=True); print('to error', file=sys.stderr)"
    supervisor = stage.supervisor(replace(child("init", script), one_shot=True))
    assert await supervisor.run() == EXIT_DONE
    started, *lines = (stage.directory / "logs" / "init.log").read_text().splitlines()
    assert " started as process " in started
    assert lines == ["to output", "to error"]


def test_names_and_needs_are_checked(stage: Stage) -> None:
    with pytest.raises(ValueError, match="Two children are called a"):
        stage.supervisor(exiting("a", 0), exiting("a", 0))
    with pytest.raises(ValueError, match="a needs b, which no child before it is called"):
        stage.supervisor(exiting("a", 0, needs=("b",)), exiting("b", 0))
