"""The operators' orders as the copy has them: what was ordered, by whom, and whether it stands."""

from enum import StrEnum
from typing import Final, NamedTuple

from connectors.admin.layout import NEWEST_ORDERS_PREFIX, orders_of_prefix, place_key
from schemas.orders import OPERATOR_SOURCE, Authority, Verb
from schemas.rows import (
    OrderRow,
    PairOrderRow,
    PositionRow,
    RowDecoder,
    UndoneRow,
    order_key,
    pair_orders_prefix,
    split_pair_order_key,
    undone_key,
)
from schemas.topics import POSITION_KEY
from state.engine import Rows
from state.identity.evidence import Order, standing_orders

_ORDER_ROW: Final = RowDecoder(OrderRow)
_UNDONE_ROW: Final = RowDecoder(UndoneRow)
_PAIR_ROW: Final = RowDecoder(PairOrderRow)
_POSITION_ROW: Final = RowDecoder(PositionRow)


class Standing(StrEnum):
    """Whether an order counts."""

    #: It was acknowledged, and no worker has decided by it yet, as far as the copy shows.
    WAITING = "waiting"
    #: It does.
    STANDS = "stands"
    #: A newer order says something of the same pair.
    OVERRULED = "overruled"
    #: It was taken back.
    UNDONE = "undone"


class BookedOrder(NamedTuple):
    """An operator's order and what became of it."""

    row: OrderRow
    standing: Standing
    #: Who took it back, when and why.
    undone: UndoneRow | None = None
    #: The id of the order that overrules it.
    overruled_by: str | None = None


class OrderBook:
    """Reads orders from the admin's copy."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def order(self, order: str) -> BookedOrder | None:
        """The order of the id, or None."""
        value = self._rows.get(order_key(order))
        if value is None:
            return None
        row = _ORDER_ROW.decode(value)
        undone = self.undone(order)
        if undone is not None:
            return BookedOrder(row, Standing.UNDONE, undone)
        newer = self._overruling(row)
        if newer is None:
            return BookedOrder(row, Standing.STANDS)
        return BookedOrder(row, Standing.OVERRULED, overruled_by=newer.id)

    def undone(self, order: str) -> UndoneRow | None:
        """Who took the order back, or None."""
        value = self._rows.get(undone_key(order))
        return None if value is None else _UNDONE_ROW.decode(value)

    def newest(self, limit: int, *, fragment: str | None = None, before: int | None = None) -> list[BookedOrder]:
        """Orders, newest first.

        Args:
            limit: how many at most.
            fragment: of this identifier alone; None: all.
            before: only those whose offset is less.
        """
        prefix = NEWEST_ORDERS_PREFIX if fragment is None else orders_of_prefix(fragment)
        if before == 0:
            return []
        start = None if before is None else place_key(prefix, before - 1)
        found: list[BookedOrder] = []
        for _, order in self._rows.scan(prefix, start):
            booked = self.order(order.decode())
            if booked is not None:
                found.append(booked)
            if len(found) >= limit:
                break
        return found

    def operators_orders(self, one: str, other: str) -> list[Order]:
        """The operators' orders of a pair that were not taken back."""
        return [order for order in self._pair(one, other) if order.authority == Authority.OPERATOR]

    def applied_past(self, offset: int) -> bool:
        """Whether all that a transaction with the record at this offset wrote is in the copy."""
        value = self._rows.get(POSITION_KEY)
        return value is not None and _POSITION_ROW.decode(value).next_offset > offset

    def _overruling(self, row: OrderRow) -> Order | None:
        if len(row.fragments) != 2:
            return None
        standing = standing_orders(self._pair(*row.fragments))
        newest = next(iter(standing.values()), None)
        return newest if newest is not None and (newest.source, newest.id) != (OPERATOR_SOURCE, row.id) else None

    def _pair(self, one: str, other: str) -> list[Order]:
        prefix = pair_orders_prefix(one) + other.encode() + b"/"
        orders = []
        for key, value in self._rows.scan(prefix):
            _, _, authority, name = split_pair_order_key(key)
            said = _PAIR_ROW.decode(value)
            if authority == Authority.OPERATOR and self.undone(name) is not None:
                continue
            require = said.verb == Verb.REQUIRE
            orders.append(Order(one, other, require, Authority(authority), said.time, said.source, said.id))
        return orders
