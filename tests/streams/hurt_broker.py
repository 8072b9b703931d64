"""A broker of one's own that a test may pause, stop and start, where the session's is everybody's."""

import os
import signal
import threading
from pathlib import Path

from schemas.topics import Catalogue
from streams.broker.local_broker import LocalBroker
from streams.kafka import KafkaOptions
from streams.topics import create_topics


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
