"""From an empty folder to an answer: `up --demo` with a broker of its own, as `make run` starts it."""

import functools
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.demo import EXAMPLE_EMAIL
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.running_system import COMMAND_TIMEOUT_S, SETTINGS_WITH_PORTS, RunningSystem, is_running, request
from tests.waiting import wait_until

#: A proxy that nobody listens at: whatever leaves the machine fails.
DEAD_PROXY = "http://127.0.0.1:9"
PROCESSES = {"broker", "worker", "collect", "lookup", "admin"}


@pytest.fixture
def own_system(tmp_path: Path, free_ports: FreePorts, cache_dir: Path) -> RunningSystem:
    ports = free_ports(len(SETTINGS_WITH_PORTS))
    broker_port, controller_port = free_ports(2)
    settings = {
        "GOLDENTHREAD_CACHE_DIR": str(cache_dir),
        "GOLDENTHREAD_BROKER_PORT": str(broker_port),
        "GOLDENTHREAD_CONTROLLER_PORT": str(controller_port),
    }
    program = Path(sys.executable).with_name("goldenthread")
    return RunningSystem(tmp_path / "empty", ports, settings, [str(program)])


def printed_commands(system: RunningSystem) -> list[str]:
    """The commands that it says to try: the indented lines after the word."""
    told = system.out.partition("Try, in another terminal in this folder:\n")[2]
    return [line.strip() for line in told.split("\n\n")[0].splitlines() if line.startswith("  ")]


def run_as_printed(system: RunningSystem, command: str) -> str:
    """What a user sees who copies the line into a shell in the same folder, with the same settings."""
    ran = subprocess.run(
        ["/bin/sh", "-c", command], cwd=system.folder, env=system.environment, text=True,
        capture_output=True, check=False, timeout=COMMAND_TIMEOUT_S,
    )  # fmt: skip
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        request("GET", f"{url}/livez")
    except ConnectionRefusedError:
        return True
    except ConnectionError:
        return False
    raise AssertionError(f"somebody answers at {url}")


def status_line(system: RunningSystem) -> str:
    """The last line that tells how it goes."""
    return [line for line in system.out.splitlines() if line.startswith("events in ")][-1]


def run_printed_commands(system: RunningSystem) -> None:
    """Run the three printed commands and look at what they show."""
    get, send, tail = printed_commands(system)
    assert EXAMPLE_EMAIL in get
    shown = run_as_printed(system, get)
    assert EXAMPLE_EMAIL in shown
    assert "identified" in shown
    assert run_as_printed(system, send).strip() == '{"accepted":1}'
    assert len(run_as_printed(system, tail).splitlines()) == 3
    system.wait_quiet()
    assert system.lookup(("email", "you@example.com")).json["context"]["interactions"]["count"] == 1
    for command in (get, send, tail):
        assert shlex.split(command)[0].endswith("goldenthread")


@pytest.mark.crash
@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_an_empty_folder_becomes_a_system_that_answers_and_stops_and_starts_again(own_system: RunningSystem) -> None:
    with own_system as system:
        # The first start, with the demo: it says where everything is, and what it says works.
        system.start("--demo")
        for url in (
            system.lookup_url, system.collect_url, system.admin_url, system.environment["GOLDENTHREAD_BROKER_PORT"],
        ):  # fmt: skip
            assert url in system.out
        children = system.children()
        assert children.keys() == PROCESSES
        wait_until(lambda: "The demo has played" in system.err, "the demo's end")
        system.wait_quiet()
        run_printed_commands(system)
        told = system.lookup(("email", EXAMPLE_EMAIL)).json
        wait_until(lambda: "dead 0" in status_line(system) and "events in 6" in status_line(system), "a status line")
        assert "contexts 0 " not in status_line(system)

        # It stops with everything that it started.
        assert system.stop() == 0
        assert not any(is_running(pid) for pid in children.values())
        assert system.err.rstrip().endswith("Stopped.")

        # The second start needs no network and answers the same.
        system.environment |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), DEAD_PROXY)
        system.start("--demo")
        assert system.lookup(("email", EXAMPLE_EMAIL)).json["context"]["customer"] == told["context"]["customer"]
        # The demo once more is more of the same people's events, and none of them is refused.
        wait_until(lambda: "The demo has played" in system.err, "the demo's second end")
        system.wait_quiet()
        again = system.lookup(("email", EXAMPLE_EMAIL)).json
        assert again["context"]["interactions"]["count"] == 2 * told["context"]["interactions"]["count"]
        assert system.metric(system.worker_url, "goldenthread_dead_letters_total") == 0
        assert EXAMPLE_EMAIL in run_as_printed(system, printed_commands(system)[0])
        run_as_printed(system, printed_commands(system)[1])

        # Killed, it leaves nothing running; and the third start, without the demo, has everything still.
        children = system.children()
        assert children.keys() == PROCESSES
        system.process.kill()
        assert system.ended() == -9
        wait_until(lambda: not any(is_running(pid) for pid in children.values()), "the end of all children")
        system.start()
        system.wait_quiet()
        assert system.lookup(("email", EXAMPLE_EMAIL)).json == again
        assert system.stop() == 0


@pytest.mark.crash
@pytest.mark.kafka
def test_a_killed_up_leaves_no_process_on_a_given_broker(make_system: SystemMaker) -> None:
    with make_system("killed").start() as system:
        children = system.children()
        assert children.keys() == PROCESSES - {"broker"}
        system.process.kill()
        system.ended()
        wait_until(lambda: not any(is_running(pid) for pid in children.values()), "the end of all children")
        for url in (system.lookup_url, system.collect_url, system.worker_url):
            # A socket is closed a little after its process is gone, and resets who connects in between.
            wait_until(functools.partial(refuses, url), f"nobody at {url}")
