"""Rows of orders: of pairs under both ends, operators' orders by their ids, what is undone, what is split off.

What is not committed yet lies over what is. Of a pair the standing order is the one that `evidence.standing_orders`
gives: rows of orders that are undone, or that a newer word of the same record has replaced, are gone.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from schemas.identity_policy import Grade
from schemas.orders import Verb
from schemas.rows import (
    PAIR_ORDER_PREFIX,
    SPLIT_IDENTIFIER_PREFIX,
    SPLIT_SOURCE_PREFIX,
    OrderRow,
    PairOrderRow,
    RowDecoder,
    SplitRow,
    UndoneRow,
    encode_row,
    order_key,
    pair_order_key,
    pair_orders_prefix,
    split_identifier_key,
    split_identifier_prefix,
    split_pair_order_key,
    split_source_key,
    split_source_parts,
    undone_key,
)
from state.engine import Rows
from state.identity.evidence import Link, order_weight


class PairOrder(NamedTuple):
    """An order of a pair, seen from one of its ends."""

    neighbour: str
    authority: int
    #: A record's source, or the id of an operator's order.
    name: str
    row: PairOrderRow

    @property
    def requires(self) -> bool:
        """Whether the two have to be one customer."""
        return self.row.verb == Verb.REQUIRE

    @property
    def weight(self) -> tuple[int, int, str, str, bool]:
        """Of a pair's orders the greatest holds."""
        return order_weight(self.authority, self.row.time, self.row.source, self.row.id, self.requires)


class Standing(NamedTuple):
    """What the standing orders of all pairs of an identifier come to."""

    #: The links that orders require, in reading order.
    requires: tuple[Link, ...] = ()
    forbidden: tuple[str, ...] = ()
    #: Whether a required one has replaced the identifier.
    former: bool = False

    @property
    def weight(self) -> int:
        """What it takes in memory, in links."""
        return 1 + len(self.requires) + len(self.forbidden)


#: By this id the policy splits identifiers off.
POLICY_ORDER: Final = ""
#: What most identifiers have.
NO_ORDERS: Final = Standing()


def standing(orders: Iterable[PairOrder], fragment: str) -> Standing:
    """What the orders of an identifier's pairs come to; those of one pair have to follow each other."""
    requires, forbidden, former = [], [], False
    for neighbour, alike in groupby(orders, key=itemgetter(0)):
        order = max(alike, key=lambda each: each.weight)
        row = order.row
        if order.requires:
            link = Link(neighbour, row.neighbour_kind, Grade.RECORD, row.time, row.source, row.id, order.authority)
            requires.append(link)
            former = former or row.former == fragment
        else:
            forbidden.append(neighbour)
    requires.sort(key=lambda link: (-link.authority, link.neighbour))
    return Standing(tuple(requires), tuple(forbidden), former)


class OrderRows:
    """All rows about orders.

    Attributes:
        pairs: whether there is any order of a pair.
        splits: whether any identifier is split off.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._order_decoder = RowDecoder(OrderRow)
        self._pair_decoder = RowDecoder(PairOrderRow)
        self._fresh: dict[bytes, bytes | None] = {}
        # Keys of fresh rows of pairs, by fragment; and of split identifiers.
        self._fresh_pairs: defaultdict[str, set[bytes]] = defaultdict(set)
        self._fresh_splits: defaultdict[str, set[bytes]] = defaultdict(set)
        self.pairs = self._any(PAIR_ORDER_PREFIX)
        self.splits = self._any(SPLIT_IDENTIFIER_PREFIX)
        # Each by the orders that split it off: few, since operators give them.
        self._withdrawn: defaultdict[str, set[str]] = defaultdict(set)
        for key, _ in rows.scan(SPLIT_SOURCE_PREFIX):
            source, order = split_source_parts(key)
            self._withdrawn[source].add(order)

    def _any(self, prefix: bytes) -> bool:
        return next(self._rows.scan(prefix), None) is not None

    @property
    def present(self) -> bool:
        """Whether anything hides or requires any link."""
        return self.pairs or self.splits or bool(self._withdrawn)

    # Operators' orders by id

    def order(self, name: str) -> OrderRow | None:
        """An operator's order, undone or not."""
        value = self._get(order_key(name))
        return None if value is None else self._order_decoder.decode(value)

    def put_order(self, row: OrderRow) -> None:
        """Keep an operator's order."""
        self._fresh[order_key(row.id)] = encode_row(row)

    def is_undone(self, name: str) -> bool:
        """Whether somebody took the operator's order of this id back."""
        return self._get(undone_key(name)) is not None

    def put_undone(self, name: str, row: UndoneRow) -> None:
        """Keep that an order is undone."""
        self._fresh[undone_key(name)] = encode_row(row)

    # Orders of pairs

    def of_pairs(self, fragment: str) -> Iterator[PairOrder]:
        """All orders of an identifier's pairs, in the order of their keys."""
        fresh_keys = self._fresh_pairs.get(fragment, ())
        committed = (item for item in self._rows.scan(pair_orders_prefix(fragment)) if item[0] not in fresh_keys)
        fresh = ((key, self._fresh[key]) for key in sorted(fresh_keys))
        for key, value in heapq.merge(committed, fresh, key=itemgetter(0)):
            if value is not None:
                _, neighbour, authority, name = split_pair_order_key(key)
                yield PairOrder(neighbour, authority, name, self._pair_decoder.decode(value))

    def of_pair(self, fragment: str, neighbour: str, authority: int, name: str) -> PairOrderRow | None:
        """One order of a pair, as its row under the first of the two has it."""
        value = self._get(pair_order_key(fragment, neighbour, authority, name))
        return None if value is None else self._pair_decoder.decode(value)

    def put_of_pair(self, fragment: str, neighbour: str, authority: int, name: str, row: PairOrderRow | None) -> None:
        """Write one end's row of an order of a pair; None takes it away."""
        key = pair_order_key(fragment, neighbour, authority, name)
        self._put(key, row)
        self._fresh_pairs[fragment].add(key)
        self.pairs = True

    # What is split off

    def is_split(self, fragment: str) -> bool:
        """Whether a standing order, or the policy, splits the identifier off."""
        fresh_keys = self._fresh_splits.get(fragment, ())
        if any(self._fresh[key] is not None for key in fresh_keys):
            return True
        return any(key not in fresh_keys for key, _ in self._rows.scan(split_identifier_prefix(fragment)))

    def put_split(self, fragment: str, order: str, row: SplitRow | None) -> None:
        """Write that an order (an empty id: the policy) splits the identifier off; None takes it away."""
        key = split_identifier_key(fragment, order)
        self._put(key, row)
        self._fresh_splits[fragment].add(key)
        self.splits = True

    def withdrawn(self, source: str) -> bool:
        """Whether a standing order splits the source off."""
        return source in self._withdrawn

    @property
    def any_withdrawn(self) -> bool:
        """Whether any source is split off."""
        return bool(self._withdrawn)

    def put_withdrawn(self, source: str, order: str, row: SplitRow | None) -> None:
        """Write that an order splits the source off; None takes it away."""
        self._put(split_source_key(source, order), row)
        if row is not None:
            self._withdrawn[source].add(order)
            return
        self._withdrawn[source].discard(order)
        if not self._withdrawn[source]:
            del self._withdrawn[source]

    # Commits

    def drained(self) -> dict[bytes, bytes | None]:
        """All fresh rows, encoded; None deletes."""
        return dict(self._fresh)

    def settled(self) -> None:
        """The fresh rows are committed."""
        self._fresh.clear()
        self._fresh_pairs.clear()
        self._fresh_splits.clear()

    def _get(self, key: bytes) -> bytes | None:
        return self._fresh[key] if key in self._fresh else self._rows.get(key)

    def _put(self, key: bytes, row: PairOrderRow | SplitRow | None) -> None:
        self._fresh[key] = None if row is None else encode_row(row)
