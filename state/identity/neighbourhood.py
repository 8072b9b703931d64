"""The links of one identifier as they are kept in memory: the best of each neighbour, in the order of reading."""

from collections.abc import Iterable

from state.identity.evidence import Link, reading_order


class Neighbourhood:
    """Links of one identifier, few enough to be kept.

    They are in a list and not by neighbour, since most identifiers have one or two.
    """

    __slots__ = ("_links", "_sorted")

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._links = list(links)
        self._sorted = len(self._links) <= 1

    def __len__(self) -> int:
        return len(self._links)

    @property
    def weight(self) -> int:
        """What it takes in memory, in links."""
        return 1 + len(self._links)

    def link(self, neighbour: str) -> Link | None:
        """The link to one neighbour."""
        for link in self._links:
            if link.neighbour == neighbour:
                return link
        return None

    def ordered(self) -> list[Link]:
        """All links, the required ones first, then by grade, then by neighbour; nobody may change the list."""
        if not self._sorted:
            self._links = sorted(self._links, key=reading_order)
            self._sorted = True
        return self._links

    def offer(self, link: Link) -> bool:
        """Take in what is known of a pair, if it is the best; returns whether the neighbour is new."""
        held = self.link(link.neighbour)
        if held is None or link.precedence < held.precedence:
            # Anew, since somebody may be going through the one of before.
            self._links = [each for each in self._links if each is not held]
            self._links.append(link)
            self._sorted = len(self._links) == 1
        return held is None
