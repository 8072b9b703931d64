"""The graph over the rows of `identity.links`, with what is not committed yet laid over what is.

Rows stay decoded until they are drained. Reads see every write at once, so that evidence within one checkpoint builds
on what came before it.
"""

import heapq
from bisect import insort
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from operator import itemgetter
from typing import TypeAlias

from schemas.errors import StateError
from schemas.identifiers import Identifier
from schemas.rows import (
    EvidenceRow,
    LinkRow,
    RowDecoder,
    encode_row,
    evidence_key,
    evidence_prefix,
    link_row_key,
    split_evidence_key,
)
from state.engine import Rows
from state.identity.bounded_cache import BoundedCache
from state.identity.evidence import Link
from state.identity.placement import Placement, Stage

#: Reads a sealed identifier of a fragment: `schemas.keys.Keyring.unseal`.
Unseal: TypeAlias = Callable[[bytes, str], Identifier]


@dataclass(frozen=True)
class CacheBounds:
    """How much of the rows stays decoded. The defaults take about 100 MB when full."""

    #: About 500 bytes each.
    placements_max: int = 50_000
    #: About 600 bytes each.
    identifiers_max: int = 30_000
    #: Identifiers whose neighbours are kept, and their neighbours, counted together: about 300 bytes each.
    neighbourhoods_max: int = 120_000
    #: Identifiers known to have very many neighbours; what few of their own kind they have is kept, and counts too.
    crowds_max: int = 20_000
    #: Of an identifier with more neighbours than this, rows are read each time, as few as a decision needs.
    neighbours_max: int = 64


class LinkRows:
    """Placements and evidence: a `Graph` that can be written to."""

    def __init__(self, rows: Rows, unseal: Unseal, bounds: CacheBounds | None = None) -> None:
        bounds = bounds or CacheBounds()
        self._rows = rows
        self.unseal: Unseal = lru_cache(maxsize=bounds.identifiers_max)(unseal)
        self._neighbours_max = bounds.neighbours_max
        self._link_decoder = RowDecoder(LinkRow)
        self._evidence_decoder = RowDecoder(EvidenceRow)
        self._fresh_links: dict[str, LinkRow] = {}
        self._fresh_evidence: dict[bytes, EvidenceRow] = {}
        # Keys of fresh evidence of each fragment, sorted, to be merged with committed ones.
        self._fresh_keys: dict[str, list[bytes]] = {}
        self._links: BoundedCache[str, LinkRow] = BoundedCache(bounds.placements_max)
        self._neighbourhoods: BoundedCache[str, dict[str, Link]] = BoundedCache(bounds.neighbourhoods_max, _weight)
        self._crowds: BoundedCache[str, bool] = BoundedCache(bounds.crowds_max)
        self._peers: BoundedCache[str, dict[str, Link]] = BoundedCache(bounds.crowds_max, _weight)

    # Rows

    def row(self, fragment: str) -> LinkRow | None:
        """The fragment's row, or None when identity has not met it."""
        row = self._fresh_links.get(fragment) or self._links.get(fragment)
        if row is None:
            value = self._rows.get(link_row_key(fragment))
            if value is None:
                return None
            row = self._link_decoder.decode(value)
            self._links.put(fragment, row)
        return row

    def put_row(self, fragment: str, row: LinkRow) -> None:
        """Write the fragment's row."""
        self._fresh_links[fragment] = row

    def found(self, fragment: str, row: LinkRow) -> None:
        """Write the first row of a fragment, which no evidence has named before."""
        self.put_row(fragment, row)
        self._neighbourhoods.put(fragment, {})

    def evidence(self, fragment: str, neighbour: str, grade: int, source: str) -> EvidenceRow | None:
        """What the source showed of the pair in the grade, or None."""
        key = evidence_key(fragment, neighbour, grade, source)
        fresh = self._fresh_evidence.get(key)
        if fresh is not None:
            return fresh
        value = self._rows.get(key)
        return None if value is None else self._evidence_decoder.decode(value)

    def put_evidence(self, fragment: str, neighbour: str, grade: int, source: str, row: EvidenceRow) -> None:
        """Write one end's row of a pair."""
        key = evidence_key(fragment, neighbour, grade, source)
        if key not in self._fresh_evidence:
            insort(self._fresh_keys.setdefault(fragment, []), key)
        self._fresh_evidence[key] = row
        link = _link(neighbour, grade, source, row)
        self._offer(self._neighbourhoods, fragment, link)
        if link.kind == self.known(fragment).kind:
            self._offer(self._peers, fragment, link)

    def _offer(self, cache: BoundedCache[str, dict[str, Link]], fragment: str, link: Link) -> None:
        links = cache.get(fragment)
        if links is None:
            return
        held = links.get(link.neighbour)
        if held is None or link.precedence < held.precedence:
            links[link.neighbour] = link
        if len(links) > self._neighbours_max:
            cache.discard(fragment)
        elif held is None:
            cache.put(fragment, links)

    def drained(self) -> dict[bytes, bytes]:
        """All fresh rows, encoded."""
        rows = {link_row_key(fragment): encode_row(row) for fragment, row in self._fresh_links.items()}
        rows.update((key, encode_row(row)) for key, row in self._fresh_evidence.items())
        return rows

    def settled(self) -> None:
        """The fresh rows are committed."""
        for fragment, row in self._fresh_links.items():
            self._links.put(fragment, row)
        self._fresh_links.clear()
        self._fresh_evidence.clear()
        self._fresh_keys.clear()

    # Placements

    def placement(self, fragment: str) -> Placement | None:
        """Where the fragment was placed last; None when it was not yet."""
        row = self.row(fragment)
        if row is None or not row.state:
            return None
        return Placement(row.state, row.owner, row.grade, Stage(row.stage), row.candidates)

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
        row = self.row(fragment)
        if row is None:
            raise StateError(
                f"evidence names fragment {fragment}, which has no row: restore identity.links from its log"
            )
        return row

    def seen(self, fragment: str) -> int:
        """See `Graph`."""
        best = next(self.links(fragment), None)
        return 0 if best is None else best.grade

    def forbidden(self, fragment: str) -> Collection[str]:  # noqa: ARG002 - the graph's shape; no row forbids.
        """See `Graph`."""
        return ()

    def links(self, fragment: str) -> Iterator[Link]:
        """See `Graph`."""
        neighbourhood = self._neighbourhoods.get(fragment)
        if neighbourhood is None:
            links = self._read_links(fragment)
            if self._crowds.get(fragment):
                return links
            first = list(islice(links, self._neighbours_max + 1))
            if len(first) > self._neighbours_max:
                self._crowds.put(fragment, True)
                return chain(first, links)
            neighbourhood = {link.neighbour: link for link in first}
            self._neighbourhoods.put(fragment, neighbourhood)
        return iter(sorted(neighbourhood.values(), key=_reading_order))

    def peers(self, fragment: str) -> Iterator[Link]:
        """See `Graph`. To find its own kind among very many neighbours, all are read once."""
        kind = self.known(fragment).kind
        neighbourhood = self._neighbourhoods.get(fragment)
        peers = self._peers.get(fragment) if neighbourhood is None else neighbourhood
        if peers is None:
            found = (link for link in self.links(fragment) if link.kind == kind)
            first = list(islice(found, self._neighbours_max + 1))
            if len(first) > self._neighbours_max:
                return chain(first, found)
            peers = {link.neighbour: link for link in first}
            self._peers.put(fragment, peers)
        return iter(sorted((link for link in peers.values() if link.kind == kind), key=_reading_order))

    def _read_links(self, fragment: str) -> Iterator[Link]:
        """Rows have the best grade first, then neighbours in order, so a neighbour's first rows hold its best link."""
        yielded: set[str] = set()
        best: Link | None = None
        for key, row in self._read_evidence(fragment):
            _, neighbour, grade, source = split_evidence_key(key)
            if neighbour in yielded:
                continue
            link = _link(neighbour, grade, source, row)
            if best is None or best.neighbour == neighbour:
                best = link if best is None or link.precedence < best.precedence else best
                continue
            yielded.add(best.neighbour)
            yield best
            best = link
        if best is not None:
            yield best

    def _read_evidence(self, fragment: str) -> Iterator[tuple[bytes, EvidenceRow]]:
        committed = (
            (key, self._evidence_decoder.decode(value))
            for key, value in self._rows.scan(evidence_prefix(fragment))
            if key not in self._fresh_evidence
        )
        fresh = ((key, self._fresh_evidence[key]) for key in self._fresh_keys.get(fragment, ()))
        return heapq.merge(fresh, committed, key=itemgetter(0))


def _link(neighbour: str, grade: int, source: str, row: EvidenceRow) -> Link:
    return Link(neighbour, row.neighbour_kind, grade, row.first_time, source, row.first_id)


def _weight(links: dict[str, Link]) -> int:
    return 1 + len(links)


def _reading_order(link: Link) -> tuple[int, str]:
    return -link.grade, link.neighbour
