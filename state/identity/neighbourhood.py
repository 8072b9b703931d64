"""The links of one identifier as they are kept in memory: the best of each neighbour, in the order of reading."""

from collections.abc import Iterable

from state.identity.evidence import Link, reading_order


class Neighbourhood:
    """Links of one identifier, few enough to be kept."""

    __slots__ = ("_links", "_ordered")

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._links = {link.neighbour: link for link in links}
        self._ordered: list[Link] | None = None

    def __len__(self) -> int:
        return len(self._links)

    @property
    def weight(self) -> int:
        """What it takes in memory, in links."""
        return 1 + len(self._links)

    def ordered(self) -> list[Link]:
        """All links, the required ones first, then by grade, then by neighbour; nobody may change the list."""
        if self._ordered is None:
            self._ordered = sorted(self._links.values(), key=reading_order)
        return self._ordered

    def offer(self, link: Link) -> bool:
        """Take in what is known of a pair, if it is the best; returns whether the neighbour is new."""
        held = self._links.get(link.neighbour)
        if held is None or link.precedence < held.precedence:
            self._links[link.neighbour] = link
            self._ordered = None
        return held is None
