"""Identifiers that look like several people's: those that fan out, and those that evidence or orders are at odds about.

Reads a copy of `identity.links` once, in the order of its keys, so that a million identifiers pass by in little memory:
what is kept is one identifier's neighbours at a time, and the foremost few. Those few are looked at a second time, for
the customers of their neighbours. `clusters` has the report of the largest customers.

An identifier that an order or the policy has split off already is left out: it is dealt with.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

import msgspec

from schemas.identifiers import Identifier
from schemas.identity_policy import Grade, Policy
from schemas.orders import Authority, Verb
from schemas.roles import SHARED
from schemas.rows import (
    EVIDENCE_ROW_PREFIX,
    LINK_ROW_PREFIX,
    PAIR_ORDER_PREFIX,
    SPLIT_IDENTIFIER_PREFIX,
    SPLIT_SOURCE_PREFIX,
    EvidenceRow,
    LinkRow,
    PairOrderRow,
    RowDecoder,
    evidence_prefix,
    link_row_key,
    split_evidence_key,
    split_pair_order_key,
)
from state.engine import Rows
from state.identity.evidence import Order, standing_orders
from state.identity.kinds import KindOrder

#: Neighbours of one identifier that are told apart: one with more is suspicious anyhow, and its figures say "at least".
NEIGHBOURS_MAX: Final = 10_000
#: How many of the foremost are looked at a second time; four times as many as are asked for, where that is more.
FINALISTS_MIN: Final = 500
#: How many a report names at the most.
SUSPECTS_MAX: Final = 1_000

_LINKS: Final = RowDecoder(LinkRow)
_EVIDENCE: Final = RowDecoder(EvidenceRow)
_PAIR_ORDERS: Final = RowDecoder(PairOrderRow)

_Row: TypeAlias = tuple[bytes, bytes]
_Unseal: TypeAlias = Callable[[bytes, str], Identifier]


class SuspectSort(StrEnum):
    """What makes an identifier foremost."""

    #: Of how many customers its neighbours are.
    FAN_OUT = "fan_out"
    #: How much evidence and orders are at odds about it.
    CONFLICT = "conflict"


class Suspect(msgspec.Struct, frozen=True):
    """An identifier, and why it is suspicious."""

    fragment: str
    identifier: Identifier
    #: "home", "joined", "attached" or "shared".
    state: str
    #: The customer that it is in; of a shared one, itself.
    owner: str
    #: How many identifiers evidence showed with it, and how many of them say who somebody is: those of an identifying
    #: or a stronger kind. Where they are `NEIGHBOURS_MAX`, at least so many.
    neighbours: int
    telling: int
    #: How many customers its telling neighbours are in. Of a shared identifier those that are shared as well count for
    #: one each: often it is what made them so.
    customers: int
    #: Proven links of it that joined nothing.
    vetoed: int
    #: Values of one unique kind that it is linked to directly, of the kind with most of them.
    unique_values: int
    #: Identifiers that orders keep apart from it.
    forbidden: int
    #: First and last sight, in microseconds since 1970; the last one by its 30-day bucket.
    first: int | None
    last: int | None
    #: In words, the weightiest first.
    why: tuple[str, ...]

    @property
    def conflicts(self) -> int:
        """All that is at odds: vetoes, orders, unique values past the first, and the customers that share it."""
        sharing = self.customers if self.state == SHARED else 0
        return self.vetoed + self.forbidden + max(0, self.unique_values - 1) + sharing


def suspects(
    rows: Rows,
    unseal: _Unseal,
    policy: Policy,
    *,
    sort: SuspectSort = SuspectSort.CONFLICT,
    limit: int = 50,
) -> list[Suspect]:
    """The identifiers that are most likely several people's, the foremost first.

    It blocks while it reads all rows, some fifteen seconds for a million identifiers: not for an event loop.

    Args:
        rows: a copy of `identity.links`, under its own keys.
        unseal: reads a sealed identifier of a fragment.
        policy: the policy in force.
        sort: by fan-out or by conflict.
        limit: how many at most; no more than `SUSPECTS_MAX`.
    """
    return _Search(rows, unseal, KindOrder(policy)).foremost(sort, min(limit, SUSPECTS_MAX))


class _Neighbours:
    """Those of one identifier that evidence which counts has shown."""

    __slots__ = ("kinds", "proven")

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.proven: set[str] = set()


class _Sketch(NamedTuple):
    """What one pass tells of an identifier."""

    fragment: str
    neighbours: int
    telling: int
    vetoed: int
    forbidden: int
    shared: bool

    def weight(self, sort: SuspectSort) -> tuple[int, int, str]:
        """The greatest go on to be looked at again."""
        conflicts = self.vetoed + self.forbidden + (self.telling if self.shared else 0)
        if sort is SuspectSort.FAN_OUT:
            return self.telling, self.neighbours, self.fragment
        return conflicts, self.telling, self.fragment


class _Search:
    """One search through a copy."""

    def __init__(self, rows: Rows, unseal: _Unseal, kinds: KindOrder) -> None:
        self._rows = rows
        self._unseal = unseal
        self._kinds = kinds
        self._withdrawn = {
            key.removeprefix(SPLIT_SOURCE_PREFIX).split(b"/", 1)[1].decode()
            for key, _ in rows.scan(SPLIT_SOURCE_PREFIX)
        }

    def foremost(self, sort: SuspectSort, limit: int) -> list[Suspect]:
        """Look at all once, and at the foremost again."""
        finalists = max(FINALISTS_MIN, 4 * limit)
        sketches = heapq.nlargest(finalists, self._sketches(), key=lambda sketch: sketch.weight(sort))
        found = [suspect for sketch in sketches if (suspect := self._examine(sketch)) is not None]
        if sort is SuspectSort.FAN_OUT:
            found.sort(key=lambda suspect: (-suspect.customers, -suspect.telling, suspect.fragment))
        else:
            found.sort(key=lambda suspect: (-suspect.conflicts, -suspect.telling, suspect.fragment))
        return found[:limit]

    # The pass over all

    def _sketches(self) -> Iterator[_Sketch]:
        rows = _Cursor(self._rows.scan(LINK_ROW_PREFIX), LINK_ROW_PREFIX)
        split = _Cursor(self._rows.scan(SPLIT_IDENTIFIER_PREFIX), SPLIT_IDENTIFIER_PREFIX)
        orders = _Cursor(self._rows.scan(PAIR_ORDER_PREFIX), PAIR_ORDER_PREFIX)
        start = len(EVIDENCE_ROW_PREFIX)
        for name, evidence in groupby(self._rows.scan(EVIDENCE_ROW_PREFIX), lambda row: row[0][start : start + 32]):
            fragment = name.decode()
            own = rows.take(name)
            apart = orders.take(name)
            neighbours = self._neighbours(evidence)
            # The copy is written to meanwhile: evidence may have come after the rows were opened.
            if not own or split.take(name) or not neighbours.kinds:
                continue
            sketch = self._sketch(fragment, _LINKS.decode(own[0][1]), neighbours, _forbidden(apart))
            if sketch.telling > 1 or sketch.vetoed or sketch.forbidden:
                yield sketch

    def _neighbours(self, evidence: Iterator[_Row]) -> _Neighbours:
        found = _Neighbours()
        for key, value in evidence:
            _, neighbour, grade, source = split_evidence_key(key)
            if source in self._withdrawn:
                continue
            if neighbour not in found.kinds:
                if len(found.kinds) == NEIGHBOURS_MAX:
                    break
                found.kinds[neighbour] = _EVIDENCE.decode(value).neighbour_kind
            if grade >= Grade.LOGIN:
                found.proven.add(neighbour)
        return found

    def _sketch(self, fragment: str, row: LinkRow, neighbours: _Neighbours, forbidden: set[str]) -> _Sketch:
        telling = self._telling(row.kind, neighbours)
        vetoed = 0
        if row.state != SHARED and self._kinds.identifying(row.kind):
            vetoed = len(self._vetoed(row, neighbours, forbidden))
        return _Sketch(fragment, len(neighbours.kinds), len(telling), vetoed, len(forbidden), row.state == SHARED)

    def _telling(self, kind: str, neighbours: _Neighbours) -> list[str]:
        rank = self._kinds.rank(kind)
        tells = {
            name: self._kinds.identifying(name) or self._kinds.rank(name) < rank
            for name in set(neighbours.kinds.values())
        }
        return [neighbour for neighbour, name in neighbours.kinds.items() if tells[name]]

    def _vetoed(self, row: LinkRow, neighbours: _Neighbours, forbidden: set[str]) -> list[str]:
        """Proven links to identifying neighbours that are in another customer all the same."""
        found = []
        for neighbour in neighbours.proven - forbidden:
            # A home's own customer is the usual case, and needs no look.
            if neighbour == row.owner or not self._kinds.identifying(neighbours.kinds[neighbour]):
                continue
            other = self._row(neighbour)
            if other is not None and other.state not in (SHARED, "") and other.owner != row.owner:
                found.append(neighbour)
        return found

    def _row(self, fragment: str) -> LinkRow | None:
        value = self._rows.get(link_row_key(fragment))
        return None if value is None else _LINKS.decode(value)

    # The foremost

    def _examine(self, sketch: _Sketch) -> Suspect | None:
        """Count customers and values; None where there is nothing to suspect after all."""
        fragment = sketch.fragment
        row = self._row(fragment)
        if row is None:
            return None
        neighbours = self._neighbours(self._rows.scan(evidence_prefix(fragment)))
        customers: set[str] = set()
        values: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for neighbour in self._telling(row.kind, neighbours):
            other = self._row(neighbour)
            if other is None:
                continue
            if row.state == SHARED or other.state != SHARED:
                customers.add(other.owner)
            if neighbour in neighbours.proven and self._kinds.kind(other.kind).unique:
                exclusion = self._kinds.exclusion(self._unseal(other.sealed, neighbour))
                # Values that an order unites are one customer's, and count once.
                values[exclusion or ("", "")].add(other.owner)
        unique_values = max(map(len, values.values()), default=0)
        if len(customers) < 2 and unique_values < 2 and not sketch.vetoed and not sketch.forbidden:
            return None
        suspect = Suspect(
            fragment, self._unseal(row.sealed, fragment), row.state, row.owner,
            len(neighbours.kinds), sketch.telling, len(customers), sketch.vetoed, unique_values, sketch.forbidden,
            row.first, row.last, (),
        )  # fmt: skip
        return msgspec.structs.replace(suspect, why=tuple(self._reasons(suspect)))

    def _reasons(self, suspect: Suspect) -> Iterator[str]:
        least = "at least " if suspect.neighbours == NEIGHBOURS_MAX else ""
        if suspect.state == SHARED:
            yield f"shared: nobody's, of {suspect.customers} customers"
        elif suspect.customers > 1:
            yield f"shown with identifiers of {suspect.customers} customers"
        if suspect.unique_values > 1:
            yield f"linked to {suspect.unique_values} values of a kind of which a customer has one"
        if suspect.vetoed:
            yield f"{suspect.vetoed} proven links joined nothing"
        if suspect.forbidden:
            yield f"orders keep {suspect.forbidden} identifiers apart from it"
        limit = self._kinds.kind(suspect.identifier.kind).shared_from
        past = f", past the limit of {limit}" if 0 < limit < suspect.telling else ""
        yield f"{least}{suspect.telling} of {suspect.neighbours} neighbours say who somebody is{past}"


class _Cursor:
    """Rows of one sort, sorted by fragment, read along with others that are."""

    def __init__(self, rows: Iterator[_Row], prefix: bytes) -> None:
        self._rows = rows
        self._start = len(prefix)
        self._next = next(rows, None)

    def take(self, fragment: bytes) -> list[_Row]:
        """The fragment's rows; those of lesser ones are passed over."""
        taken = []
        while self._next is not None:
            name = self._next[0][self._start : self._start + len(fragment)]
            if name > fragment:
                break
            if name == fragment:
                taken.append(self._next)
            self._next = next(self._rows, None)
        return taken


def _forbidden(rows: list[_Row]) -> set[str]:
    """Who is kept apart by the orders that hold, of the rows of one fragment's orders."""
    if not rows:
        return set()
    orders = []
    for key, value in rows:
        fragment, neighbour, authority, _ = split_pair_order_key(key)
        said = _PAIR_ORDERS.decode(value)
        require = said.verb == Verb.REQUIRE
        orders.append(Order(fragment, neighbour, require, Authority(authority), said.time, said.source, said.id))
    standing = standing_orders(orders).values()
    return {order.other for order in standing if not order.require}
