"""What stays in memory of links: all of most identifiers, and of those with very many the ones that decide."""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, TypeAlias

from state.identity.bounded_cache import BoundedCache
from state.identity.cache_bounds import CacheBounds
from state.identity.evidence import Link, reading_order
from state.identity.neighbourhood import Neighbourhood

#: Of an identifier with very many links so many are kept: more than its limit, past which none of them matters.
FOREMOST_MAX: Final = 32
#: Reads an identifier's links from rows, in reading order.
ReadLinks: TypeAlias = Callable[[str], Iterator[Link]]


class Foremost:
    """The first links of one identifier in reading order, while those that follow come and go."""

    __slots__ = ("links",)

    def __init__(self, links: Iterable[Link]) -> None:
        #: Nobody may change them.
        self.links = list(links)

    @property
    def weight(self) -> int:
        """What it takes in memory, in links."""
        return 1 + len(self.links)

    def offer(self, link: Link) -> None:
        """Take in what is known of a pair, if it belongs here; the last one makes room for it."""
        if reading_order(link) > reading_order(self.links[-1]):
            return
        held = next((each for each in self.links if each.neighbour == link.neighbour), None)
        if held is None or link.precedence < held.precedence:
            links = [each for each in self.links if each is not held]
            insort(links, link, key=reading_order)
            self.links = links[: len(self.links)]


class NearLinks:
    """Links by identifier, bounded; what is not here is read, and then kept.

    Args:
        bounds: how many are kept.
        read: reads links, as orders leave them.
    """

    def __init__(self, bounds: CacheBounds, read: ReadLinks) -> None:
        self._neighbours_max = bounds.neighbours_max
        self._foremost_max = min(FOREMOST_MAX, bounds.neighbours_max)
        self._read = read
        weigh = attrgetter("weight")
        self._neighbourhoods: BoundedCache[str, Neighbourhood] = BoundedCache(bounds.neighbourhoods_max, weigh)
        # Identifiers with very many links; their first ones, and those to their own kind where these are few.
        self._crowds: BoundedCache[str, bool] = BoundedCache(bounds.crowds_max)
        self._foremost: BoundedCache[str, Foremost] = BoundedCache(bounds.crowds_max, weigh)
        self._peers: BoundedCache[str, Neighbourhood] = BoundedCache(bounds.crowds_max, weigh)
        self._caches: tuple[BoundedCache[str, Any], ...] = (
            self._neighbourhoods,
            self._crowds,
            self._foremost,
            self._peers,
        )

    def few(self, fragment: str) -> list[Link] | None:
        """All links in reading order, which nobody may change; None of an identifier with very many."""
        neighbourhood = self._neighbourhoods.get(fragment)
        if neighbourhood is None:
            if self._crowds.get(fragment):
                return None
            first = list(islice(self._read(fragment), self._neighbours_max + 1))
            if len(first) > self._neighbours_max:
                self._crowds.put(fragment, True)
                self._foremost.put(fragment, Foremost(first[: self._foremost_max]))
                return None
            neighbourhood = Neighbourhood(first)
            self._neighbourhoods.put(fragment, neighbourhood)
        return neighbourhood.ordered()

    def all(self, fragment: str) -> Iterator[Link]:
        """All links in reading order."""
        few = self.few(fragment)
        if few is not None:
            return iter(few)
        foremost = self._foremost.get(fragment)
        if foremost is None:
            foremost = Foremost(islice(self._read(fragment), self._foremost_max))
            self._foremost.put(fragment, foremost)
        return chain(foremost.links, self._further(fragment, foremost.links))

    def _further(self, fragment: str, foremost: list[Link]) -> Iterator[Link]:
        """Those that come after the foremost; nothing is read where nobody asks for them."""
        passed = {link.neighbour for link in foremost}
        yield from (link for link in self._read(fragment) if link.neighbour not in passed)

    def of_kind(self, fragment: str, kind: str) -> Iterator[Link]:
        """Those that lead to a kind. To find few among very many, all are read once, which is for its own kind only."""
        neighbourhood = self._neighbourhoods.get(fragment)
        peers = self._peers.get(fragment) if neighbourhood is None else neighbourhood
        if peers is None:
            found = (link for link in self.all(fragment) if link.kind == kind)
            first = list(islice(found, self._neighbours_max + 1))
            if len(first) > self._neighbours_max:
                return chain(first, found)
            peers = Neighbourhood(first)
            self._peers.put(fragment, peers)
        return (link for link in peers.ordered() if link.kind == kind)

    def to(self, fragment: str, neighbour: str) -> Link | None:
        """What links it with a neighbour, where that is in memory."""
        neighbourhood = self._neighbourhoods.get(fragment)
        return None if neighbourhood is None else neighbourhood.link(neighbour)

    def begin(self, fragment: str, links: Iterable[Link] = ()) -> None:
        """Keep all links of an identifier that had none before."""
        self._neighbourhoods.put(fragment, Neighbourhood(links))

    def offer(self, fragment: str, link: Link, *, peer: bool) -> None:
        """Take in what is known of a pair; `peer` is whether both are of one kind."""
        self._offer(self._neighbourhoods, fragment, link)
        foremost = self._foremost.get(fragment)
        if foremost is not None:
            foremost.offer(link)
        if peer:
            self._offer(self._peers, fragment, link)

    def _offer(self, cache: BoundedCache[str, Neighbourhood], fragment: str, link: Link) -> None:
        links = cache.get(fragment)
        if links is None:
            return
        grown = links.offer(link)
        if len(links) > self._neighbours_max:
            cache.discard(fragment)
        elif grown:
            cache.put(fragment, links)

    def forget(self, fragment: str) -> None:
        """Orders about its links were written."""
        for cache in self._caches:
            cache.discard(fragment)

    def clear(self) -> None:
        """Orders about the links of anybody were written."""
        for cache in self._caches:
            cache.clear()
