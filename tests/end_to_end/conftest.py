"""Running systems on the session's broker, each with topics, consumer group and folder of its own."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.generator import SOURCES_FILE
from tests.conftest import FreePorts
from tests.running_system import SETTINGS_WITH_PORTS, RunningSystem

#: Makes a system that is not started yet; settings by their names in the environment.
SystemMaker = Callable[..., RunningSystem]


@pytest.fixture(scope="session")
def make_system(
    broker: str, free_ports: FreePorts, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SystemMaker]:
    """A function that makes systems; all of them are stopped at the end of the session."""
    with ExitStack() as stack:

        def make(name: str, **settings: str) -> RunningSystem:
            unique = f"{name}-{secrets.token_hex(4)}"
            own = {
                "KAFKA_BOOTSTRAP_SERVERS": broker,
                "GOLDENTHREAD_TOPIC_PREFIX": f"{unique}.",
                "GOLDENTHREAD_APPLICATION": unique,
                "GOLDENTHREAD_CACHE_DIR": str(cache_dir),
                "GOLDENTHREAD_SOURCES_FILE": str(SOURCES_FILE),
            }
            folder = tmp_path_factory.mktemp(name)
            return stack.enter_context(RunningSystem(folder, free_ports(len(SETTINGS_WITH_PORTS)), own | settings))

        yield make


@pytest.fixture(scope="session")
def system(make_system: SystemMaker) -> RunningSystem:
    """One that runs all the time: each test uses identifiers and sources that no other uses."""
    return make_system("shared").start()
