"""A broker of one's own that a test may pause, stop and start, where the session's is everybody's."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import Catalogue
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from streams.kafka import KafkaOptions
from streams.topics import create_topics
from tests.conftest import FreePorts


class HurtBroker:
    """One local broker, and the topics of one catalogue on it."""

    def __init__(self, broker: LocalBroker) -> None:
        self.broker = broker
        self.kafka = KafkaOptions(broker.bootstrap_servers)
        self._resuming: list[threading.Timer] = []

    def catalogue(self, name: str) -> Catalogue:
        """Topics of a test, just made; two partitions each."""
        made = Catalogue(prefix=f"{name}.", partitions=2, channels=("web",))
        create_topics(self.kafka, made)
        return made

    def pause(self, seconds: float) -> None:
        """Stop it in the middle of whatever it does; it goes on by itself after so long."""
        pid = self.broker._started().pid
        os.kill(pid, signal.SIGSTOP)
        timer = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
        timer.start()
        self._resuming.append(timer)

    def partition_folder(self, topic: str, partition: int) -> Path:
        """Where the broker keeps a partition's log."""
        return self.broker.options.data_dir / "data" / f"{topic}-{partition}"

    def settle(self) -> None:
        """Wait until it is not paused any more."""
        for timer in self._resuming:
            timer.join()


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, free_ports: FreePorts) -> Iterator[HurtBroker]:
    """A broker for the tests of one module."""
    port, controller_port = free_ports(2)
    folder = tmp_path_factory.mktemp("hurt-broker")
    options = BrokerOptions(
        data_dir=folder, cache_dir=cache_dir, port=port, controller_port=controller_port, heap_mb=256
    )
    with LocalBroker(options) as broker:
        made = HurtBroker(broker)
        yield made
        made.settle()
