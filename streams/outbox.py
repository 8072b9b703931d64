"""Outputs of a stateless stage on their way to the producer: those of one topic in the order in which they come."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from schemas.topics import Catalogue, Topic
from state.engine import Output
from streams.faults import FaultHook, FaultPoint
from streams.producer import Record, RecordProducer

FLUSH_TIMEOUT_SECONDS: Final = 60.0
# Well below what the producer's queue holds: waiting for room there would hold up the event loop.
OUTSTANDING_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024


class Outbox:
    """Keeps what a slice of records comes to until it is handed over.

    Records of one topic without headers are produced together, which takes a fraction of the time; nearly all are.
    """

    def __init__(self, producer: RecordProducer, catalogue: Catalogue, fault: FaultHook) -> None:
        self._producer = producer
        self._catalogue = catalogue
        self._dead = catalogue.name(Topic.DEAD)
        self._fault = fault
        # Keys and values by topic.
        self._waiting: defaultdict[str, list[tuple[bytes | None, bytes | None]]] = defaultdict(list)

    def put(self, output: Output) -> None:
        """Produce an output, or keep it for `hand_over`."""
        topic, key, value, headers = output
        if topic == Topic.DEAD:
            self._fault(FaultPoint.INTAKE_BEFORE_DEAD)
            self._producer.produce(Record(self._dead, key, value, headers))
            self._fault(FaultPoint.INTAKE_AFTER_DEAD)
        elif headers:
            # Nothing of the topic may overtake what came before it.
            self._produce_waiting()
            self._producer.produce(Record(self._catalogue.name(topic), key, value, headers))
        else:
            self._waiting[topic].append((key, value))

    def put_each(self, outputs: Iterable[Output]) -> None:
        """`put` outputs."""
        for output in outputs:
            self.put(output)

    def put_plain(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Keep keys and values of a topic, without headers, for `hand_over`; no dead letters."""
        self._waiting[topic] += records

    async def hand_over(self) -> None:
        """Produce what is kept, and see to it that not too much is outstanding."""
        self._produce_waiting()
        if self._producer.outstanding_bytes > OUTSTANDING_SIZE_BYTES_MAX:
            await asyncio.to_thread(self._producer.flush, FLUSH_TIMEOUT_SECONDS)

    def _produce_waiting(self) -> None:
        waiting, self._waiting = self._waiting, defaultdict(list)
        for topic, records in waiting.items():
            self._producer.produce_batch(self._catalogue.name(topic), None, records)
