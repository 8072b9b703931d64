"""Orders on their way: written to `identity.evidence`, acknowledged, and remembered until the copy shows them.

An order is named by its id for ever. One that is sent again, since its answer was lost or this process was killed, is
written again at the worst; the log's reader knows the id and takes the first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec

from connectors.admin.order_book import BookedOrder, OrderBook, Standing
from connectors.admin.problems import ALREADY_UNDONE, NOT_DELIVERED, ORDER_CONFLICT, TOO_MANY_ORDERS
from connectors.web.problems import OVERLOADED, ProblemError, retry_after
from schemas.clock import Clock
from schemas.errors import RestartNeeded
from schemas.messages import Order, SealedIdentifier, Undo, encode
from schemas.orders import OPERATOR_ORDERS_PER_PAIR_MAX
from schemas.rows import OrderRow
from schemas.topics import Catalogue, Topic
from streams.logs import logger
from streams.producer import Record, RecordProducer

log = logger(__name__)

#: Orders that were acknowledged and that the copy does not show yet; a worker that is away for long lets them grow.
REMEMBERED_MAX: Final = 10_000
#: Orders are written one after the other, so that each sees those before it; so many may wait for their turn.
WAITING_MAX: Final = 64
#: How often somebody who waits looks whether the copy shows the order.
POLL_SECONDS: Final = 0.02
# Told to clients that come while too many wait: by then most of these have been written.
_RETRY_SECONDS: Final = 2


class Giving:
    """Gives orders and takes them back.

    Args:
        book: What the copy shows.
        producer: Writes and waits for acknowledgement.
        catalogue: Names the topic.
        clock: Tells the time of an order.
    """

    def __init__(self, book: OrderBook, producer: RecordProducer, catalogue: Catalogue, clock: Clock) -> None:
        self._book = book
        self._producer = producer
        self._topic = catalogue.name(Topic.EVIDENCE)
        self._clock = clock
        self._orders: OrderedDict[str, Order] = OrderedDict()
        self._undos: OrderedDict[str, Undo] = OrderedDict()
        self._turn = asyncio.Lock()
        self._waiting = 0

    def order(self, order: str) -> BookedOrder | None:
        """The order of the id, one that the copy does not show yet included."""
        booked = self._book.order(order)
        sent = self._orders.get(order)
        if booked is None and sent is not None:
            fragments = tuple(identifier.fragment for identifier in sent.identifiers)
            row = OrderRow(
                sent.id, sent.verb, sent.time, fragments, sent.withdrawn_source, sent.author, sent.reason, offset=0
            )
            return BookedOrder(row, Standing.WAITING)
        return booked

    def waiting_identifiers(self, order: str) -> tuple[SealedIdentifier, ...]:
        """The identifiers of an order that the copy may not show yet."""
        sent = self._orders.get(order)
        return () if sent is None else sent.identifiers

    def now_us(self) -> int:
        """The time of what is ordered now."""
        return self._clock.now_us()

    def timed(self, order: Order) -> Order:
        """The order with its time: now, and past every order of the pair, so that one given later always stands."""
        now_us = self._clock.now_us()
        if len(order.identifiers) == 2:
            one, other = (identifier.fragment for identifier in order.identifiers)
            newest = max((held.time for held in self._book.operators_orders(one, other)), default=-1)
            waiting = max((held.time for held in self._waiting_orders(one, other)), default=-1)
            now_us = max(now_us, newest + 1, waiting + 1)
        return msgspec.structs.replace(order, time=now_us)

    async def give(self, order: Order, key_name: str) -> BookedOrder:
        """Write the order, unless it was given before; returns once the broker has acknowledged it.

        1. Wait for the turn. 2. The same id: the same order, or a conflict. 3. The pair has room. 4. Write.
        5. Remember.

        Raises:
            ProblemError: 409 another order has the id, or too many stand; 503 it was not acknowledged.
        """
        # 1. Wait for the turn.
        async with self._in_turn():
            # 2. The same id.
            known = self.order(order.id)
            if known is not None:
                if not _same_order(known.row, order):
                    raise ProblemError(ORDER_CONFLICT, ORDER_CONFLICT.meaning)
                return known
            # 3. Room.
            self.require_room(order)
            # 4. Write.
            timed = self.timed(order)
            await self._write(timed, timed.id)
            # 5. Remember.
            _remember(self._orders, timed.id, timed)
            log.info("order given", order_id=timed.id, order=timed.verb, author=timed.author, key_name=key_name)
            given = self.order(timed.id)
            if given is None:
                raise RuntimeError("an order that was just remembered is not known")
            return given

    async def undo(self, undo: Undo, key_name: str) -> None:
        """Write that an order is taken back, unless this very undo was written before.

        Raises:
            ProblemError: 409 it is undone already; 503 it was not acknowledged.
        """
        async with self._in_turn():
            if self.undone_alike(undo):
                return
            await self._write(undo, undo.id)
            _remember(self._undos, undo.order, undo)
            log.info("order undone", order_id=undo.order, undo_id=undo.id, author=undo.author, key_name=key_name)

    def undone_alike(self, undo: Undo) -> bool:
        """Whether this very undo was given before.

        Raises:
            ProblemError: 409, another one was.
        """
        row = self._book.undone(undo.order)
        held = self._undos.get(undo.order) if row is None else row
        if held is None:
            return False
        if (held.id, held.author, held.reason) == (undo.id, undo.author, undo.reason):
            return True
        by = {"undone_by": held.author, "undo": held.id}
        raise ProblemError(ALREADY_UNDONE, ALREADY_UNDONE.meaning, members=by)

    def require_room(self, order: Order) -> None:
        """A pair has a bounded number of orders, since decisions read all of them.

        Raises:
            ProblemError: 409.
        """
        if len(order.identifiers) != 2:
            return
        one, other = (identifier.fragment for identifier in order.identifiers)
        booked = {held.id for held in self._book.operators_orders(one, other)}
        waiting = {held.id for held in self._waiting_orders(one, other)}
        if len(booked | waiting) >= OPERATOR_ORDERS_PER_PAIR_MAX:
            raise ProblemError(
                TOO_MANY_ORDERS, f"{OPERATOR_ORDERS_PER_PAIR_MAX} orders of this pair stand. Undo old ones first."
            )

    async def wait_order(self, order: Order, timeout_s: float) -> BookedOrder | None:
        """The order once the copy shows all that it has done; None when that did not come in time.

        Raises:
            ProblemError: 409, another order has the id: a second process gave it at the same moment, and it came first.
        """
        if not await self._shown(lambda: self._offset_of_order(order.id), timeout_s):
            return None
        self._orders.pop(order.id, None)
        booked = self._book.order(order.id)
        if booked is not None and not _same_order(booked.row, order):
            raise ProblemError(ORDER_CONFLICT, ORDER_CONFLICT.meaning)
        return booked

    async def wait_undone(self, order: str, timeout_s: float) -> BookedOrder | None:
        """The order once the copy shows all that its undo has done; None when that did not come in time."""
        if not await self._shown(lambda: self._offset_of_undo(order), timeout_s):
            return None
        self._undos.pop(order, None)
        return self._book.order(order)

    async def _write(self, message: Order | Undo, name: str) -> None:
        try:
            await self._producer.send_all([Record(self._topic, None, encode(message))])
        except RestartNeeded as error:
            log.warning("not acknowledged", order_id=name, reason=str(error))
            raise ProblemError(
                NOT_DELIVERED, NOT_DELIVERED.meaning, headers=retry_after(_RETRY_SECONDS), members={"id": name}
            ) from error

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING_MAX:
            raise ProblemError(
                OVERLOADED, "Too many orders wait to be written; this one was not.", headers=retry_after(_RETRY_SECONDS)
            )
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1

    def _waiting_orders(self, one: str, other: str) -> list[Order]:
        """Orders of the pair that the copy does not show yet."""
        pair = {one, other}
        return [
            order
            for order in self._orders.values()
            if {identifier.fragment for identifier in order.identifiers} == pair and self._book.order(order.id) is None
        ]

    def _offset_of_order(self, order: str) -> int | None:
        booked = self._book.order(order)
        return None if booked is None else booked.row.offset

    def _offset_of_undo(self, order: str) -> int | None:
        undone = self._book.undone(order)
        return None if undone is None else undone.offset

    async def _shown(self, offset_of: Callable[[], int | None], timeout_s: float) -> bool:
        """Wait until the copy has the record, and all that its transaction wrote."""
        deadline = self._clock.monotonic_s() + timeout_s
        while True:
            offset = offset_of()
            if offset is not None and self._book.applied_past(offset):
                return True
            if self._clock.monotonic_s() >= deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)


def _same_order(row: OrderRow, order: Order) -> bool:
    fragments = {identifier.fragment for identifier in order.identifiers}
    said = (row.verb, set(row.fragments), row.withdrawn_source, row.author, row.reason)
    return said == (order.verb, fragments, order.withdrawn_source, order.author, order.reason)


Sent = TypeVar("Sent")


def _remember(sent: "OrderedDict[str, Sent]", name: str, message: Sent) -> None:
    sent[name] = message
    while len(sent) > REMEMBERED_MAX:
        sent.popitem(last=False)
