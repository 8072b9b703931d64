"""`goldenthread drill` as its users have it: an exact verdict after real faults, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.running_system import is_running
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.crash, pytest.mark.timeout(1_200)]

#: Kills of workers, one at a fault point, and of the broker; a wiped disk, a pause.
# Of many faults close together; the broker is paused and not killed: docs/guarantees.md says what a broker alone may
# lose then, whichever moment it is killed at.
FIXED_SEED: Final = 2698
#: Two workers, one wiped, one at a fault point: of the fixed schedule, the fourth comes after one of each kind.
KILLS_UNTIL_ALL_KINDS: Final = 4
CLOSE: Final = ("--gap", "1", "3")
COUNTS: Final = ("lost", "doubled", "wrong_fields", "repeated_outputs", "unexpected_dead_letters")
#: Settings of somebody's own installation, in the environment and in `.env`; none of them may count.
FOREIGN: Final = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "GOLDENTHREAD_TOPIC_PREFIX": "theirs.",
    "GOLDENTHREAD_ENRICHERS": "none",
    "GOLDENTHREAD_HOST": "127.0.0.2",
}
FOREIGN_FILE: Final = "GOLDENTHREAD_CHANNELS=pigeon\nGOLDENTHREAD_DATA_DIR=theirs\n"
#: Longer than what follows each by a drill of so many seconds on a slow machine: start, catching up, judgement.
DRILL_DEADLINE_S: Final = 600.0
#: A fault waits for its target, which is only just back on a slow machine.
FAULTS_DEADLINE_S: Final = 400.0

StartDrill = Callable[..., "RunningDrill"]


class RunningDrill:
    """A drill in a process of its own; what it says goes to files."""

    def __init__(self, folder: Path, cache_dir: Path, *arguments: str) -> None:
        self.folder = folder
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        (folder / ".env").write_text(FOREIGN_FILE)
        environment = os.environ | FOREIGN | {"TMPDIR": str(self.temporary), "GOLDENTHREAD_CACHE_DIR": str(cache_dir)}
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "goldenthread", "drill", "--json", *arguments], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip

    @property
    def err(self) -> str:
        """Progress so far."""
        return (self.folder / "err").read_text()

    def verdict(self) -> dict[str, Any]:
        """The last line of standard output, once it has ended."""
        self.process.wait(DRILL_DEADLINE_S)
        found: dict[str, Any] = json.loads((self.folder / "out").read_text().splitlines()[-1])
        return found

    def children(self) -> list[int]:
        """The ids of its processes, and of theirs."""
        return _children([self.process.pid])


def _children(parents: Sequence[int]) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if any(f"\nPPid:\t{parent}\n" in status.read_text() for parent in parents):
                found.append(int(status.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found + _children(found) if found else []


@pytest.fixture
def start(tmp_path: Path, cache_dir: Path) -> Iterator[StartDrill]:
    """A function that starts a drill; it ends with the test."""
    with ExitStack() as stack:

        def started(*arguments: str) -> RunningDrill:
            drill = RunningDrill(tmp_path, cache_dir, *arguments)
            stack.callback(drill.process.wait)
            stack.callback(drill.process.kill)
            return drill

        yield started


def assert_exact(drill: RunningDrill, verdict: dict[str, Any]) -> None:
    assert {name: verdict[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0), drill.err
    assert (verdict["verdict"], verdict["reasons"]) == ("exact", []), drill.err
    assert drill.process.returncode == 0
    assert verdict["events"] > 100
    assert verdict["sends"] > verdict["events"]
    assert verdict["recovery_seconds_p99"] > 0
    assert list(drill.temporary.iterdir()) == [], "an exact verdict keeps nothing"
    assert not (drill.folder / "theirs").exists(), "it used a data directory that is not its own"


def test_after_a_fixed_schedule_of_faults_everything_is_exact_and_settings_of_others_do_not_count(
    start: StartDrill,
) -> None:
    # So many kills and not so many seconds: a slow machine gets through fewer faults in a given time.
    drill = start("--kills", str(KILLS_UNTIL_ALL_KINDS), "--seed", str(FIXED_SEED), *CLOSE)
    verdict = drill.verdict()
    assert_exact(drill, verdict)
    assert verdict["seed"] == FIXED_SEED
    assert verdict["kills"] >= KILLS_UNTIL_ALL_KINDS
    assert {"kill-worker", "kill-at-point"} <= verdict["faults"].keys()


def test_faults_of_a_fresh_seed_that_are_ended_by_ctrl_c_leave_everything_exact_and_no_process(
    start: StartDrill,
) -> None:
    drill = start("--seconds", "600", *CLOSE)
    wait_until(lambda: "fault 3:" in drill.err or drill.process.poll() is not None, "three faults", FAULTS_DEADLINE_S)
    children = drill.children()
    assert len(children) >= 4, drill.err
    drill.process.send_signal(signal.SIGINT)
    verdict = drill.verdict()
    assert_exact(drill, verdict)
    assert f"seed {verdict['seed']}" in drill.err
    assert 1 <= sum(verdict["faults"].values()) < 20
    assert verdict["seconds"] < 600
    assert [pid for pid in children if is_running(pid)] == []


def test_a_drill_that_is_killed_takes_its_processes_with_it(
    start: StartDrill,
) -> None:
    drill = start()
    wait_until(lambda: "starting" in drill.err and drill.children(), "processes of its own", SYSTEM_DEADLINE_S)
    children = drill.children()
    drill.process.kill()
    wait_until(lambda: not [pid for pid in children if is_running(pid)], "the end of all", SYSTEM_DEADLINE_S)
