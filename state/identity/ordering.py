"""What an order, or the undo of one, changes in the rows of orders, and what it touches by that."""

from itertools import islice
from typing import Final, NamedTuple

import msgspec

from schemas.messages import Order, SealedIdentifier, Undo
from schemas.orders import Authority, Verb
from schemas.rows import LinkRow, OrderRow, PairOrderRow, SplitRow, UndoneRow
from state.identity.evidence import UNFORMED
from state.identity.link_rows import LinkRows
from state.identity.touched import Relinked, Touched

#: Neighbours of an identifier whose split one message decides: about a second, and 10 MB where all of them move. With
#: more of them a repair does it.
SPLIT_NEIGHBOURS_MAX: Final = 10_000
#: What a repair goes over that no source limits.
EVERYTHING: Final = ""


class Ordered(NamedTuple):
    """What an order, or its undo, comes to."""

    touched: Touched = Touched()
    #: The source whose word a repair has to weigh again, or EVERYTHING; None where one message does it all.
    repairs: str | None = None


class Ordering:
    """Writes orders where the graph finds them.

    Args:
        links: the graph.
        split_neighbours_max: neighbours of an identifier past which its split is left to a repair.
    """

    def __init__(self, links: LinkRows, split_neighbours_max: int = SPLIT_NEIGHBOURS_MAX) -> None:
        self._links = links
        self._orders = links.orders
        self._split_neighbours_max = split_neighbours_max

    def take(self, order: Order, offset: int) -> Ordered | None:
        """Take in an order; None where nothing is new, since it, or a newer word of the same record, was here before.

        1. Keep an operator's order as it was given.
        2. Give identifiers that nobody has named before a row.
        3. Obey it, unless it was undone before it came.
        """
        operators = order.authority == Authority.OPERATOR
        # 1. Keep.
        if operators:
            if self._orders.order(order.id) is not None:
                return None
            self._orders.put_order(_order_row(order, offset))
        # 2. Name.
        named = tuple(one.fragment for one in order.identifiers if self._name(one))
        # 3. Obey.
        if operators and self._orders.is_undone(order.id):
            return Ordered(Touched(formed=named))
        if order.withdrawn_source:
            return self._split_source(order.withdrawn_source, order.id, SplitRow(order.time))
        fragments = tuple(one.fragment for one in order.identifiers)
        if len(fragments) == 1:
            ordered = self._split(fragments[0], order.id, SplitRow(order.time))
            return ordered._replace(touched=msgspec.structs.replace(ordered.touched, formed=named))
        return self._order_pair(order)

    def undo(self, undo: Undo, offset: int) -> Ordered | None:
        """Take an order back, or see to it that it is not obeyed when it comes; None where that was done before.

        1. Keep who took it back.
        2. Find the order; where it is still to come there is no more to do.
        3. Obey it no longer.
        """
        # 1. Keep.
        if self._orders.is_undone(undo.order):
            return None
        self._orders.put_undone(undo.order, UndoneRow(undo.id, undo.time, undo.author, undo.reason, offset))
        # 2. Find.
        order = self._orders.order(undo.order)
        if order is None:
            return Ordered()
        # 3. Obey no longer.
        if order.withdrawn_source:
            return self._split_source(order.withdrawn_source, order.id, None)
        if len(order.fragments) == 1:
            return self._split(order.fragments[0], order.id, None)
        one, other = order.fragments
        for here, there in ((one, other), (other, one)):
            self._links.mark_pair(here, there, Authority.OPERATOR, order.id, None)
        return Ordered(Touched(ordered=((one, other),)))

    def _split(self, fragment: str, order: str, row: SplitRow | None) -> Ordered:
        """Split an identifier off, or with None end that."""
        before = self._links.is_split(fragment)
        self._links.mark_split(fragment, order, row)
        after = self._links.is_split(fragment)
        if before == after:
            return Ordered()
        neighbours = tuple(islice(self._links.neighbours(fragment), self._split_neighbours_max + 1))
        if len(neighbours) > self._split_neighbours_max:
            return Ordered(Touched(again=(fragment,)), EVERYTHING)
        records = {each.neighbour for each in self._orders.of_pairs(fragment) if each.authority != Authority.OPERATOR}
        ordered = tuple((fragment, neighbour) for neighbour in sorted(records))
        relinked = (Relinked(fragment, neighbours),)
        if after:
            return Ordered(Touched(ordered=ordered, severed=relinked))
        return Ordered(Touched(ordered=ordered, restored=relinked))

    def _split_source(self, source: str, order: str, row: SplitRow | None) -> Ordered:
        """Split a source off, or with None end that."""
        before = self._orders.withdrawn(source)
        self._links.mark_source(source, order, row)
        return Ordered() if self._orders.withdrawn(source) == before else Ordered(repairs=source)

    def _name(self, identifier: SealedIdentifier) -> bool:
        """Whether nobody has named the identifier before; it has a row from now on."""
        if self._links.row(identifier.fragment) is not None:
            return False
        fragment = identifier.fragment
        self._links.found(
            fragment, LinkRow(identifier.kind, identifier.sealed, "", fragment, 0, 0, UNFORMED, None, None)
        )
        return True

    def _order_pair(self, order: Order) -> Ordered | None:
        one, other = (identifier.fragment for identifier in order.identifiers)
        name = order.id if order.authority == Authority.OPERATOR else order.source
        held = self._orders.of_pair(one, other, order.authority, name)
        for here, there in ((one, other), (other, one)):
            kind = self._links.kind(there)
            row = PairOrderRow(order.verb, order.time, order.source, order.id, kind, order.former)
            if held is not None and _age(row) <= _age(held):
                return None
            self._links.mark_pair(here, there, order.authority, name, row)
        return Ordered(Touched(ordered=((one, other),)))


def _order_row(order: Order, offset: int) -> OrderRow:
    fragments = tuple(identifier.fragment for identifier in order.identifiers)
    return OrderRow(
        order.id, order.verb, order.time, fragments, order.withdrawn_source, order.author, order.reason, offset
    )


def _age(row: PairOrderRow) -> tuple[int, str, bool, str]:
    """Of a record's words about a pair the last stands; of two by one name the one that keeps apart."""
    return row.time, row.id, row.verb != Verb.REQUIRE, row.former
