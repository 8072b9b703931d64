"""Fixtures of all tests: one real Kafka for the session, started when the first test asks for it."""

import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from goldenthread.settings import PREFIX
from state.native.building import build
from state.native.loading import Library, load
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions, default_cache_dir

# A slow machine is no wrong result: how long one example takes is judged by pytest's timeout alone.
hypothesis.settings.register_profile("goldenthread", deadline=None)
hypothesis.settings.load_profile("goldenthread")

FreePorts = Callable[[int], list[int]]
# Below the range from which systems take the ports of outgoing connections, which could snatch them away.
PORT_RANGE = (15_000, 30_000)


@pytest.fixture(scope="session")
def free_ports() -> FreePorts:
    """A function that gives as many ports of 127.0.0.1 as asked for, none of them in use or given out before."""
    given: set[int] = set()

    def find(count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            port = random.SystemRandom().randint(*PORT_RANGE)
            with socket.socket() as probe:
                if port not in given and probe.connect_ex(("127.0.0.1", port)) != 0:
                    given.add(port)
                    found.append(port)
        return found

    return find


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests counts: an empty folder, and nothing of ours in the environment."""
    for name in list(os.environ):
        if name.startswith((PREFIX, "KAFKA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Where Kafka's jars are kept between test runs, shared with the program itself."""
    given = os.environ.get("GOLDENTHREAD_CACHE_DIR")
    return Path(given) if given else default_cache_dir()


@pytest.fixture(scope="session")
def local_broker(
    tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, free_ports: FreePorts
) -> Iterator[LocalBroker]:
    """The session's broker; tests share it, so each makes topics under names of its own and never stops it."""
    port, controller_port = free_ports(2)
    options = BrokerOptions(
        data_dir=tmp_path_factory.mktemp("kafka"), cache_dir=cache_dir, port=port, controller_port=controller_port
    )
    with LocalBroker(options) as broker:
        yield broker


@pytest.fixture(scope="session")
def broker(local_broker: LocalBroker) -> str:
    """The bootstrap address of the session's broker."""
    return local_broker.bootstrap_servers


@pytest.fixture(scope="session")
def library() -> Library:
    """The compiled library of these sources, built where there is a compiler."""
    said = build()
    found = load()
    if found is None:
        pytest.skip(said)
    return found
