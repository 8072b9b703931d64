"""Sends at a steady rate over collect and straight to Kafka, each thing until it is taken."""

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from typing import Final

import aiohttp
from confluent_kafka import KafkaError, Message, Producer

from bench.drill.installation import Installation
from bench.drill.ordering import encode_order
from bench.drill.workload import Event, Sending
from bench.oracle import PlainOrder, PlainUndo
from bench.play import BATCH_CONTENT_TYPE, EVENTS_PATH
from schemas.errors import DeadCode
from schemas.topics import Topic

#: What waits to be sent on one way; past it nothing new is begun until some of it is taken.
QUEUED_MAX: Final = 10_000
#: Events of one request to collect, at most.
BATCH_EVENTS_MAX: Final = 60
#: Sent to Kafka and not acknowledged yet, at most.
UNDER_WAY_MAX: Final = 2_000
# Short, so that what is not answered is sent again while the first copy may still arrive.
REQUEST_TIMEOUT_SECONDS: Final = 4.0
DELIVERY_TIMEOUT_MS: Final = 5_000
_RETRY_SECONDS: Final = (0.1, 1.0)
_TICK_SECONDS: Final = 0.02
_HEADERS: Final = [("content-type", b"application/cloudevents+json")]
_REFUSALS_KEPT_MAX: Final = 20
_ANSWER_SHOWN_MAX: Final = 300


class Senders:
    """Two producers, and the truth about what they sent.

    What failed or was not answered in time is sent again, whether or not it arrived: copies change nothing.

    Attributes:
        truth: Every distinct good event that was begun, by source and id.
        orders: Every order of an operator, and every undo, that was begun.
        bad: The code of the dead letter that must come of each of these bodies.
        sends: Things sent, copies and repetitions included.
        retries: Things sent again because no answer said that they were taken.
        refusals: Answers that say that a good event is not one, the first few.
    """

    def __init__(
        self, installation: Installation, sendings: Iterator[Sending], *, rate_per_second: float, dice: random.Random
    ) -> None:
        self._url = installation.collect_url + EVENTS_PATH
        self._installation = installation
        self._sendings = sendings
        self._rate = rate_per_second
        self._dice = dice
        self._over_http: deque[bytes] = deque()
        self._straight: deque[Sending] = deque()
        self._under_way = 0
        self._finishing = asyncio.Event()
        # Not idempotent on purpose: where an answer is lost, the library's own retries make copies too.
        self._producer = Producer(
            installation.kafka.admin()
            | {"linger.ms": 5, "message.timeout.ms": DELIVERY_TIMEOUT_MS, "request.timeout.ms": 2_000}
        )
        self.truth: dict[tuple[str, str], Event] = {}
        self.orders: list[PlainOrder | PlainUndo] = []
        self.bad: dict[bytes, DeadCode] = {}
        self.sends = 0
        self.retries = 0
        self.refusals: list[str] = []

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Send until it is cancelled; after `finish` only what was begun."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._begin())
            tasks.create_task(self._send_over_http(session))
            tasks.create_task(self._send_straight())

    def finish(self) -> None:
        """Begin nothing new."""
        self._finishing.set()

    @property
    def waiting(self) -> int:
        """How many things were begun and are not known to be taken."""
        return len(self._over_http) + len(self._straight) + self._under_way

    async def all_taken(self) -> None:
        """Wait until everything that was begun is taken."""
        while self.waiting:  # noqa: ASYNC110 - what is counted changes in three tasks.
            await asyncio.sleep(_TICK_SECONDS)

    def send_straight(self, sending: Sending) -> None:
        """Queue one more for Kafka."""
        self._straight.append(sending)

    async def post(self, session: aiohttp.ClientSession, batch: list[bytes]) -> None:
        """Post a batch until collect takes it, or refuses it for what it holds."""
        wait_seconds, longest_seconds = _RETRY_SECONDS
        while True:
            self.sends += len(batch)
            try:
                body = b"[" + b",".join(batch) + b"]"
                async with session.post(self._url, data=body, headers={"Content-Type": BATCH_CONTENT_TYPE}) as answer:
                    if answer.status == 202:
                        return
                    if answer.status not in (408, 429) and answer.status < 500:
                        self._refused(f"collect answered {answer.status} {(await answer.text())[:_ANSWER_SHOWN_MAX]}")
                        return
            except (aiohttp.ClientError, TimeoutError):
                # Perhaps it arrived; that can't be known from here.
                pass
            self.retries += len(batch)
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, longest_seconds)

    def _refused(self, why: str) -> None:
        if len(self.refusals) < _REFUSALS_KEPT_MAX:
            self.refusals.append(why)

    async def _begin(self) -> None:
        """Hand over what is due."""
        loop = asyncio.get_running_loop()
        started, begun = loop.time(), 0
        while not self._finishing.is_set():
            due = int((loop.time() - started) * self._rate)
            while begun < due and max(len(self._over_http), len(self._straight)) < QUEUED_MAX:
                sending = next(self._sendings, None)
                if sending is None:
                    return
                self._hand_over(sending)
                begun += 1
            await asyncio.sleep(_TICK_SECONDS)

    def _hand_over(self, sending: Sending) -> None:
        event = sending.event
        if event is not None:
            self.truth.setdefault((event["source"], event["id"]), event)
        elif sending.order is not None:
            self.orders.append(sending.order)
        elif sending.code is not None:
            self.bad[sending.body] = sending.code
        if event is not None and self._dice.random() < 0.5:
            self._over_http.append(sending.body)
        else:
            self._straight.append(sending)

    async def _send_over_http(self, session: aiohttp.ClientSession) -> None:
        while True:
            size = min(len(self._over_http), self._dice.randint(1, BATCH_EVENTS_MAX))
            if size:
                await self.post(session, [self._over_http[place] for place in range(size)])
                for _ in range(size):
                    self._over_http.popleft()
            else:
                await asyncio.sleep(_TICK_SECONDS)

    async def _send_straight(self) -> None:
        while True:
            while self._straight and self._under_way < UNDER_WAY_MAX:
                self._produce(self._straight.popleft())
            self._producer.poll(0)
            await asyncio.sleep(_TICK_SECONDS)

    def _produce(self, sending: Sending) -> None:
        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._under_way -= 1
            if error is not None:
                self.retries += 1
                self._straight.append(sending)

        self._under_way += 1
        self.sends += 1
        catalogue = self._installation.catalogue
        if sending.order is not None:
            body = encode_order(sending.order, self._installation.keyring)
            self._producer.produce(catalogue.name(Topic.EVIDENCE), value=body, on_delivery=delivered)
            return
        topic = catalogue.raw(sending.channel)
        self._producer.produce(topic, value=sending.body, headers=_HEADERS, on_delivery=delivered)
