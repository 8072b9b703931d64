"""What the public topics and `dead` hold, as a reader of committed records sees it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.running_system import RunningSystem

READ_TIMEOUT_S = 30.0


class Letter(NamedTuple):
    """A dead letter."""

    code: str
    pointer: str
    stage: str
    value: bytes | None


def client(system: RunningSystem) -> dict[str, Any]:
    """What every client of the system's broker is made with."""
    return {"bootstrap.servers": system.environment["KAFKA_BOOTSTRAP_SERVERS"], "log_level": 0}


def tail(system: RunningSystem, topic: str) -> Iterator[Mapping[str, Any]]:
    """All records that are kept, by the system's own `tail`."""
    tailed = system.run("tail", topic, "--from-beginning", "--no-follow", "--json")
    assert tailed.returncode == 0, tailed.stderr
    return (json.loads(line) for line in tailed.stdout.splitlines())


class DeadTopic:
    """The dead letters of a system, from the moment that this is made, or from the beginning."""

    def __init__(self, system: RunningSystem, *, from_beginning: bool = False) -> None:
        self._topic = f"{system.prefix}dead"
        self._client = client(system) | {
            "group.id": "none",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
        self._next = 0 if from_beginning else self._high()

    def new(self) -> list[Letter]:
        """Those that came since the last call."""
        consumer = Consumer(self._client)
        letters: list[Letter] = []
        try:
            consumer.assign([TopicPartition(self._topic, 0, self._next)])
            while (message := consumer.poll(READ_TIMEOUT_S)) is not None:
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    return letters
                self._next = message.offset() + 1
                headers = {name: (value or b"").decode() for name, value in message.headers() or ()}
                known = (headers["gt-code"], headers["gt-pointer"], headers["gt-stage"])
                letters.append(Letter(*known, message.value()))
            raise AssertionError(f"{self._topic} did not come to its end within {READ_TIMEOUT_S:g} s")
        finally:
            consumer.close()

    def _high(self) -> int:
        consumer = Consumer(self._client)
        try:
            high: int = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), READ_TIMEOUT_S)[1]
            return high
        finally:
            consumer.close()
