"""Events straight into the raw topics: an idempotent producer that waits for the broker where its queue is full."""

import time
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaError, Message, Producer

from schemas.errors import DeliveryFailed
from schemas.topics import DEFAULT_PREFIX, RAW

_HEADERS: Final = [("content-type", b"application/cloudevents+json; charset=utf-8")]
_GIVE_UP_SECONDS: Final = 120.0
_QUEUE_KIB_MAX: Final = 64 * 1024


class RawFeed:
    """A context manager; its end waits until the broker has everything."""

    def __init__(self, bootstrap_servers: str, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._prefix = prefix
        self._failure: str | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                # A broker that goes away at the end is no news.
                "log_level": 2,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                "queue.buffering.max.kbytes": _QUEUE_KIB_MAX,
                "message.timeout.ms": int(_GIVE_UP_SECONDS * 1000),
            }
        )
        #: Events handed over so far.
        self.sent = 0

    def __enter__(self) -> Self:
        """Nothing is to be done."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the broker, unless something else went wrong."""
        if error is None:
            self.flush()

    def send(self, channel: str, value: bytes) -> None:
        """Queue one event.

        Raises:
            DeliveryFailed: the broker takes nothing.
        """
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while True:
            try:
                self._producer.produce(
                    f"{self._prefix}{RAW}{channel}", value, headers=_HEADERS, on_delivery=self._delivered
                )
                break
            except BufferError:
                if time.monotonic() > deadline:
                    raise DeliveryFailed(f"the broker took nothing for {_GIVE_UP_SECONDS:.0f} s") from None
                self._producer.poll(0.1)
        self.sent += 1
        if self.sent % 100 == 0:
            self._producer.poll(0)
        self._verify()

    def flush(self) -> None:
        """Return once the broker has all that was sent.

        Raises:
            DeliveryFailed: it has not.
        """
        left = self._producer.flush(_GIVE_UP_SECONDS)
        self._verify()
        if left:
            raise DeliveryFailed(f"the broker has no answer for {left} events")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failure = error.str()

    def _verify(self) -> None:
        if self._failure is not None:
            raise DeliveryFailed(f"the broker did not take an event: {self._failure}")
