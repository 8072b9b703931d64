"""What workers are given while they die: events of a population with known truth, orders, and records that are none."""

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from bench.drill.ordering import Ordering, encode_order
from bench.generator import Plan, encode, generate
from bench.oracle import PlainOrder, PlainUndo
from schemas.keys import Keyring
from schemas.messages import PolicyChange
from schemas.messages import encode as message_bytes
from schemas.topics import Catalogue, Topic
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.producer import DeliveringProducer, Record
from tests.running_system import SECRET

Event = dict[str, Any]
#: So few events give a checkpoint or two in each stage, so that a worker meets many.
BATCH_EVENTS: Final = 6
#: An event is told once more with other content once it is so old, so that the first stands for sure.
CONFLICT_AGE_EVENTS: Final = 60
#: Of batches, those after which somebody orders who is who.
ORDER_SHARE: Final = 0.3
_FLUSH_SECONDS: Final = 30.0


class Stream:
    """Sends events and bad records, and knows what has to come of them."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue, seed: int, events: int = 12_000) -> None:
        plan = Plan(customers=120, events=events, seed=seed, events_per_second=events / (60 * 86_400))
        self._source: Iterator[Event] = iter(generate(plan))
        self._catalogue = catalogue
        self._dice = random.Random(seed)
        self._producer = DeliveringProducer(kafka, catalogue, Metrics("test", "1"), linger_ms=0)
        self._ordering = Ordering(seed)
        self._keyring = Keyring(SECRET.encode())
        #: All orders of operators, and undos.
        self.orders: list[PlainOrder | PlainUndo] = []
        #: All good events, copies among them.
        self.sent: list[Event] = []
        #: What has to be in `dead`, by code.
        self.bad: dict[str, int] = {}

    def send(self) -> None:
        """A batch: some events, now and then a bad record, a conflict, or a message that nobody can read."""
        batch = list(islice(self._source, BATCH_EVENTS))
        assert batch, "the stream is over: a worker was not killed though it had much to do"
        for event in batch:
            self._send_event(event)
            self._ordering.show(event)
        if self._dice.random() < ORDER_SHARE:
            order = self._ordering.next(batch[-1])
            if isinstance(order, dict):
                self._send_event(order)
            elif order is not None:
                self._order(encode_order(order, self._keyring))
                self.orders.append(order)
        self._send_bad()
        self._producer.flush(_FLUSH_SECONDS)

    def send_these(self, *messages: Event | PlainOrder | PlainUndo | PolicyChange) -> None:
        """Events, orders and policies of somebody else's making; at the end the default policy has to hold again."""
        for message in messages:
            if isinstance(message, dict):
                self._send_event(message)
            elif isinstance(message, PolicyChange):
                self._order(message_bytes(message))
            else:
                self._order(encode_order(message, self._keyring))
                self.orders.append(message)
        self._producer.flush(_FLUSH_SECONDS)

    def send_unreadable(self) -> None:
        """What only a foreign program writes: a message on each internal topic that is none."""
        for topic in (Topic.EVIDENCE, Topic.ROUTED):
            self._producer.produce(Record(self._catalogue.name(topic), b"foreign", b"\xc1 no message"))
            self._count("unreadable_message")
        self._producer.flush(_FLUSH_SECONDS)

    def _send_event(self, event: Event) -> None:
        self._put(event["channel"], _key(event), encode(event))
        self.sent.append(event)

    def _order(self, value: bytes) -> None:
        self._producer.produce(Record(self._catalogue.name(Topic.EVIDENCE), b"order", value))

    def _send_bad(self) -> None:
        channel = self._dice.choice(self._catalogue.channels)
        number = sum(self.bad.values())
        self._put(channel, None, b"no JSON %d" % number)
        self._count("not_json")
        nobody = {**self.sent[-1], "id": f"nobody-{number}", "data": {"identifiers": {}}}
        self._put(nobody["channel"], _key(nobody), encode(nobody))
        self._count("no_usable_identifier")
        if len(self.sent) > CONFLICT_AGE_EVENTS and self._dice.random() < 0.3:
            old = self._dice.choice(self.sent[:-CONFLICT_AGE_EVENTS])
            other = json.loads(encode(old))
            other["type"] = f"other.{number}"
            self._put(other["channel"], _key(other), encode(other))
            self._count("content_conflict")

    def _put(self, channel: str, key: bytes | None, value: bytes) -> None:
        self._producer.produce(Record(self._catalogue.raw(channel), key, value))

    def _count(self, code: str) -> None:
        self.bad[code] = self.bad.get(code, 0) + 1


def _key(event: Event) -> bytes:
    """Copies and conflicts of an event are in its partition, so they come after it."""
    return f"{event['source']}\0{event['id']}".encode()
