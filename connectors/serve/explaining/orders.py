"""Standing orders as they are shown."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from connectors.serve.explaining.naming import Names
from connectors.serve.explaining.partition import AUTHORITIES, PartitionView
from connectors.serve.explaining.shapes import Named, ShownOrder
from schemas.orders import Authority, Verb
from schemas.rows import (
    SPLIT_SOURCE_PREFIX,
    OrderRow,
    split_identifier_prefix,
    split_source_parts,
)
from schemas.times import format_time
from state.identity.orders import PairOrder

#: Orders of one identifier, or of all sources, that are looked through.
ORDERS_MAX: Final = 500
_BY_POLICY: Final = "policy"


class Orders:
    """Reads orders for one question.

    Args:
        view: The partition.
        names: Names identifiers.
        words: Whether author and reason are shown.
    """

    def __init__(self, view: PartitionView, names: Names, *, words: bool) -> None:
        self._view = view
        self._names = names
        self._words = words

    def of_pair(self, one: str, other: str) -> ShownOrder | None:
        """The order that holds of the pair."""
        orders = [order for order in self._pair_orders(one) if order.neighbour == other]
        return self._of_pair(one, max(orders, key=lambda order: order.weight)) if orders else None

    def of_identifier(self, fragment: str) -> Iterator[ShownOrder]:
        """The orders that hold of the identifier's pairs, and those that split it off."""
        standing: dict[str, PairOrder] = {}
        for order in self._pair_orders(fragment):
            held = standing.get(order.neighbour)
            if held is None or order.weight > held.weight:
                standing[order.neighbour] = order
        for order in standing.values():
            yield self._of_pair(fragment, order)
        yield from self.splits_of(fragment)

    def splits_of(self, fragment: str) -> Iterator[ShownOrder]:
        """The orders that split the identifier off, the policy's word among them."""
        prefix = split_identifier_prefix(fragment)
        for key, _ in islice(self._view.rows.scan(prefix), ORDERS_MAX):
            name = key.removeprefix(prefix).decode()
            named = (self._names.of(fragment),)
            if name:
                yield self._given(Verb.SPLIT, name, named)
            else:
                yield ShownOrder(Verb.SPLIT, _BY_POLICY, identifiers=named)

    def of_sources(self, sources: Iterable[str]) -> Iterator[ShownOrder]:
        """The orders that split the sources off."""
        wanted = set(sources)
        for key, _ in islice(self._view.rows.scan(SPLIT_SOURCE_PREFIX), ORDERS_MAX):
            source, name = split_source_parts(key)
            if source in wanted:
                yield self._given(Verb.SPLIT, name, (), source)

    def _pair_orders(self, fragment: str) -> Iterator[PairOrder]:
        orders = self._view.links.orders
        for order in islice(orders.of_pairs(fragment), ORDERS_MAX):
            if order.authority == Authority.OPERATOR or not orders.withdrawn(order.row.source):
                yield order

    def _of_pair(self, one: str, order: PairOrder) -> ShownOrder:
        named = (self._names.of(one), self._names.of(order.neighbour))
        if order.authority == Authority.OPERATOR:
            return self._given(order.row.verb, order.name, named)
        by = AUTHORITIES[Authority.RECORD]
        return ShownOrder(order.row.verb, by, order.row.id, format_time(order.row.time), order.row.source, named)

    def _given(self, verb: str, name: str, named: tuple[Named, ...], source: str | None = None) -> ShownOrder:
        by = AUTHORITIES[Authority.OPERATOR]
        row = self._view.links.orders.order(name)
        shown = ShownOrder(verb, by, name, identifiers=named, split_source=source)
        return shown if row is None else self._with_words(shown, row)

    def _with_words(self, shown: ShownOrder, row: OrderRow) -> ShownOrder:
        words = {"author": row.author or None, "reason": row.reason or None} if self._words else {}
        return msgspec.structs.replace(shown, verb=row.verb, time=format_time(row.time), **words)
