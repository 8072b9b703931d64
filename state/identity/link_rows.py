"""The graph over the rows of `identity.links`, with what is not committed yet laid over what is.

Rows stay decoded until they are drained. Reads see every write at once, so that evidence within one checkpoint builds
on what came before it. What is cached of an identifier's links obeys the orders already, so that whoever asks again
pays nothing for them, and where there is no order nobody looks for one.
"""

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Final, TypeAlias

import msgspec

from schemas.errors import StateError
from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.messages import Evidence, SealedIdentifier
from schemas.normalise import Patterns, unlinkable_patterns
from schemas.orders import Authority
from schemas.rows import (
    PAIR_ORDERS,
    SPLIT_OFF,
    EvidenceRow,
    LinkRow,
    PairOrderRow,
    RowDecoder,
    SplitRow,
    encode_row,
    evidence_key,
    link_row_key,
    split_evidence_key,
)
from state.engine import Rows
from state.identity.bounded_cache import BoundedCache
from state.identity.cache_bounds import CacheBounds
from state.identity.evidence import Link
from state.identity.evidence_rows import EvidenceRows
from state.identity.near_links import NearLinks
from state.identity.orders import NO_ORDERS, POLICY_ORDER, OrderRows, PairOrder, Standing, standing
from state.identity.placement import Placement, Stage
from state.identity.shown_evidence import shown_link

# A look into a dictionary takes a tenth of what making a member of an enumeration takes.
_STAGES: Final = {stage.value: stage for stage in Stage}

#: Reads a sealed identifier of a fragment: `schemas.keys.Keyring.unseal`.
Unseal: TypeAlias = Callable[[bytes, str], Identifier]


class LinkRows:
    """Placements and evidence: a `Graph` that can be written to, and that obeys orders.

    Attributes:
        unseal: reads a sealed identifier of a fragment; what it read last stays in memory.
        few_links: what `links` gives, which nobody may change; None of an identifier with very many.
        link: what links two, where that is in memory.
        orders: the rows of orders; those that the graph obeys are written by `mark_...`.
    """

    def __init__(self, rows: Rows, unseal: Unseal, bounds: CacheBounds | None = None) -> None:
        bounds = bounds or CacheBounds()
        self._rows = rows
        self.unseal: Unseal = lru_cache(maxsize=bounds.identifiers_max)(unseal)
        self._link_decoder = RowDecoder(LinkRow)
        self._evidence = EvidenceRows(rows)
        self._fresh_links: dict[str, LinkRow] = {}
        # Fragments of which the store said that it has nothing, until the next commit: it is not asked again, neither
        # for them nor for what was shown with them.
        self._uncommitted: set[str] = set()
        self._links: BoundedCache[str, LinkRow] = BoundedCache(bounds.placements_max)
        self._near = NearLinks(bounds, self._read_links)
        self.few_links = self._near.few
        self.link = self._near.to
        self.orders = OrderRows(rows)
        self._standing: BoundedCache[str, Standing] = BoundedCache(bounds.orders_max, attrgetter("weight"))
        self._seen: BoundedCache[str, int] = BoundedCache(bounds.placements_max)
        self._unlinkable: Patterns | None = None

    # Rows

    def row(self, fragment: str) -> LinkRow | None:
        """The fragment's row, or None when identity has not met it."""
        row = self._fresh_links.get(fragment)
        if row is not None or fragment in self._uncommitted:
            return row
        row = self._links.get(fragment)
        if row is None:
            value = self._rows.get(link_row_key(fragment))
            if value is None:
                self._uncommitted.add(fragment)
                return None
            row = self._link_decoder.decode(value)
            self._links.put(fragment, row)
        return row

    def put_row(self, fragment: str, row: LinkRow) -> None:
        """Write the fragment's row."""
        self._fresh_links[fragment] = row

    def found(self, fragment: str, row: LinkRow) -> None:
        """Write the first row of a fragment, which nobody has named before."""
        if self._unlinkable is not None and self.is_unlinkable(row.sealed, fragment):
            self.orders.put_split(fragment, POLICY_ORDER, SplitRow(0))
            row = msgspec.structs.replace(row, ordered=SPLIT_OFF)
        self.put_row(fragment, row)
        self._near.begin(fragment)

    def are_strangers(self, one: SealedIdentifier, other: SealedIdentifier) -> bool:
        """Whether nobody has named either, and neither policy nor orders say anything of the two."""
        if self.row(one.fragment) is not None or self.row(other.fragment) is not None or self.orders.any_withdrawn:
            return False
        if self._unlinkable is None:
            return True
        return not (self.is_unlinkable(one.sealed, one.fragment) or self.is_unlinkable(other.sealed, other.fragment))

    def meet(self, one: SealedIdentifier, other: SealedIdentifier, evidence: Evidence, bucket: int) -> None:
        """Write the evidence of a pair of strangers, as `show` does of any pair; their rows are written as any."""
        time, name, grade, source = evidence.time, evidence.id, evidence.grade, evidence.source
        for here, there in ((one, other), (other, one)):
            fragment, neighbour, kind = here.fragment, there.fragment, there.kind
            key = evidence_key(fragment, neighbour, grade, source)
            self._evidence.put(fragment, key, EvidenceRow(time, name, bucket, kind))
            self._near.begin(fragment, (Link(neighbour, kind, grade, time, source, name),))

    def evidence(self, fragment: str, neighbour: str, grade: int, source: str) -> EvidenceRow | None:
        """What the source showed of the pair in the grade, or None."""
        key = evidence_key(fragment, neighbour, grade, source)
        row = self._evidence.fresh(key)
        if row is not None or fragment in self._uncommitted or neighbour in self._uncommitted:
            return row
        return self._evidence.committed(key)

    def show(
        self, one: SealedIdentifier, other: SealedIdentifier, evidence: Evidence, first: tuple[int, str], last: int
    ) -> None:
        """Write what evidence shows of a pair, under both ends, which have rows of their own already.

        `first` is the least (time, id) of what showed it so far, `last` the newest 30-day bucket of sight.
        """
        (time, name), grade, source = first, evidence.grade, evidence.source
        ordered = self.orders.present
        for here, there in ((one, other), (other, one)):
            fragment, neighbour, kind = here.fragment, there.fragment, there.kind
            key = evidence_key(fragment, neighbour, grade, source)
            self._evidence.put(fragment, key, EvidenceRow(time, name, last, kind))
            if ordered:
                self._seen.discard(fragment)
                if self._is_hidden(fragment, neighbour, source):
                    continue
            self._near.offer(fragment, Link(neighbour, kind, grade, time, source, name), peer=kind == here.kind)

    def drained(self) -> dict[bytes, bytes | None]:
        """All fresh rows, encoded; None deletes."""
        rows = self.orders.drained()
        rows.update((link_row_key(fragment), encode_row(row)) for fragment, row in self._fresh_links.items())
        rows.update(self._evidence.drained())
        return rows

    def settled(self) -> None:
        """The fresh rows are committed."""
        for fragment, row in self._fresh_links.items():
            self._links.put(fragment, row)
        self._fresh_links.clear()
        self._evidence.settled()
        self._uncommitted.clear()
        self.orders.settled()

    # Placements

    def placement(self, fragment: str) -> Placement | None:
        """Where the fragment was placed last; None when it was not yet."""
        row = self.row(fragment)
        if row is None or not row.state:
            return None
        return Placement(row.state, row.owner, row.grade, _STAGES[row.stage], row.candidates)

    # The graph

    def identifier(self, fragment: str) -> Identifier:
        """See `Graph`."""
        return self.unseal(self.known(fragment).sealed, fragment)

    def kind(self, fragment: str) -> str:
        """See `Graph`."""
        return self.known(fragment).kind

    def formed(self, fragment: str) -> int:
        """See `Graph`."""
        return self.known(fragment).formed

    def known(self, fragment: str) -> LinkRow:
        """The row of a fragment that evidence has named.

        Raises:
            StateError: there is none: the rows are not those of one log.
        """
        row = self._fresh_links.get(fragment)
        if row is None:
            row = self.row(fragment)
        if row is None:
            raise StateError(
                f"evidence names fragment {fragment}, which has no row: restore identity.links from its log"
            )
        return row

    def seen(self, fragment: str) -> int:
        """See `Graph`: orders hide links, but only a source that is split off has not seen what it saw."""
        if not self.orders.present:
            best = next(self.links(fragment), None)
            return 0 if best is None else best.grade
        grade = self._seen.get(fragment)
        if grade is None:
            grade = next((_grade(key) for key, _ in self._evidence.of(fragment) if self._counts(key)), 0)
            self._seen.put(fragment, grade)
        return grade

    def forbidden(self, fragment: str) -> Collection[str]:
        """See `Graph`."""
        return self.standing(fragment).forbidden

    def links(self, fragment: str) -> Iterator[Link]:
        """See `Graph`."""
        return self._near.all(fragment)

    def peers(self, fragment: str) -> Iterator[Link]:
        """See `Graph`."""
        return self._near.of_kind(fragment, self.known(fragment).kind)

    def _read_links(self, fragment: str) -> Iterator[Link]:
        """What orders require comes first, then what evidence shows.

        Rows have the best grade first, then neighbours in order, so a neighbour's first rows hold its best link.
        """
        standing = self.standing(fragment)
        yield from standing.requires
        if self.is_split(fragment):
            return
        passed = {*standing.forbidden, *(link.neighbour for link in standing.requires)}
        best: Link | None = None
        for key, row in self._evidence.of(fragment):
            _, neighbour, grade, source = split_evidence_key(key)
            if neighbour in passed or self.orders.withdrawn(source) or self.is_split(neighbour):
                continue
            link = shown_link(neighbour, grade, source, row)
            if best is None or best.neighbour == neighbour:
                best = link if best is None or link.precedence < best.precedence else best
                continue
            passed.add(best.neighbour)
            yield best
            best = link
        if best is not None:
            yield best

    def _counts(self, key: bytes) -> bool:
        return not (self.orders.any_withdrawn and self.orders.withdrawn(split_evidence_key(key)[3]))

    def _is_hidden(self, fragment: str, neighbour: str, source: str) -> bool:
        """Whether evidence of the pair from the source counts for nothing."""
        return (
            self.orders.withdrawn(source)
            or self.is_split(fragment)
            or self.is_split(neighbour)
            or neighbour in self.forbidden(fragment)
        )

    # Orders

    def govern(self, policy: Policy) -> None:
        """Split off what this policy calls unlinkable as soon as it is met."""
        self._unlinkable = unlinkable_patterns(policy) if policy.unlinkable else None

    def is_unlinkable(self, sealed: bytes, fragment: str) -> bool:
        """Whether the policy says that the identifier has no links."""
        if self._unlinkable is None:
            return False
        identifier = self.unseal(sealed, fragment)
        return self._unlinkable.match(identifier.kind, identifier.value)

    def standing(self, fragment: str) -> Standing:
        """What the orders that hold of the identifier's pairs come to."""
        if not self.orders.pairs or not self.known(fragment).ordered & PAIR_ORDERS:
            return NO_ORDERS
        found = self._standing.get(fragment)
        if found is None:
            orders = self.orders.of_pairs(fragment)
            found = standing((order for order in orders if self._holds(fragment, order)), fragment)
            self._standing.put(fragment, found)
        return found

    def _holds(self, fragment: str, order: PairOrder) -> bool:
        """A record's order is not obeyed where its source, or an end of the pair, is split off."""
        if order.authority == Authority.OPERATOR:
            return True
        return not (
            self.orders.withdrawn(order.row.source) or self.is_split(fragment) or self.is_split(order.neighbour)
        )

    def former(self, fragment: str) -> bool:
        """Whether an order that holds says that another identifier has replaced it."""
        return self.standing(fragment).former

    def is_split(self, fragment: str) -> bool:
        """Whether an order or the policy splits the identifier off."""
        return self.orders.splits and bool(self.known(fragment).ordered & SPLIT_OFF)

    def neighbours(self, fragment: str) -> Iterator[tuple[str, str, int]]:
        """All that evidence ever showed with it, whatever orders say of it: neighbour, its kind, the best grade."""
        passed = set()
        for key, row in self._evidence.of(fragment):
            _, neighbour, grade, _ = split_evidence_key(key)
            if neighbour not in passed:
                passed.add(neighbour)
                yield neighbour, row.neighbour_kind, grade

    def mark_pair(self, fragment: str, neighbour: str, authority: int, name: str, row: PairOrderRow | None) -> None:
        """Write one end's row of an order of a pair, or with None take it away."""
        self.orders.put_of_pair(fragment, neighbour, authority, name, row)
        ordered = row is not None or next(self.orders.of_pairs(fragment), None) is not None
        self._mark(fragment, PAIR_ORDERS, on=ordered)
        self._forget(fragment)

    def mark_split(self, fragment: str, order: str, row: SplitRow | None) -> None:
        """Write that an order (an empty id: the policy) splits the identifier off, or with None take it away."""
        before = self.is_split(fragment)
        self.orders.put_split(fragment, order, row)
        self._mark(fragment, SPLIT_OFF, on=row is not None or self.orders.is_split(fragment))
        if self.is_split(fragment) != before:
            self._forget(fragment)
            for neighbour, *_ in self.neighbours(fragment):
                self._forget(neighbour)
            for each in self.orders.of_pairs(fragment):
                self._forget(each.neighbour)

    def mark_source(self, source: str, order: str, row: SplitRow | None) -> None:
        """Write that an order splits the source off, or with None take it away."""
        self.orders.put_withdrawn(source, order, row)
        self._near.clear()
        self._standing.clear()
        self._seen.clear()

    def _mark(self, fragment: str, bit: int, *, on: bool) -> None:
        row = self.known(fragment)
        ordered = row.ordered | bit if on else row.ordered & ~bit
        if ordered != row.ordered:
            self.put_row(fragment, msgspec.structs.replace(row, ordered=ordered))

    def _forget(self, fragment: str) -> None:
        """Forget what was cached of its links, since orders about them were written."""
        self._near.forget(fragment)
        self._standing.discard(fragment)
        self._seen.discard(fragment)


def _grade(key: bytes) -> int:
    return split_evidence_key(key)[2]
