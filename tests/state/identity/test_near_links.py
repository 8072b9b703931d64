"""What is kept in memory of links is what rows would give, in their order, of however many and however they come.

Method: links offered at random to identifiers of few and of very many, some read before; after each the links are
compared with all that was offered, the best of each pair.
"""

import random
from collections.abc import Iterator

from state.identity.cache_bounds import CacheBounds
from state.identity.evidence import Link, reading_order
from state.identity.near_links import NearLinks

KINDS = ("email", "cookie", "device")
FRAGMENTS = ("a", "b", "c")


class Known:
    """All that was said, and how often somebody had to read it."""

    def __init__(self) -> None:
        self.links: dict[str, dict[str, Link]] = {fragment: {} for fragment in FRAGMENTS}
        self.read = 0

    def ordered(self, fragment: str) -> list[Link]:
        """The best link of each neighbour, in reading order."""
        return sorted(self.links[fragment].values(), key=reading_order)

    def reading(self, fragment: str) -> Iterator[Link]:
        """The same, as from rows."""
        self.read += 1
        yield from self.ordered(fragment)

    def say(self, fragment: str, link: Link) -> None:
        """Write a link, if it is the best of its pair."""
        held = self.links[fragment].get(link.neighbour)
        if held is None or link.precedence < held.precedence:
            self.links[fragment][link.neighbour] = link


def test_links_in_memory_are_those_of_the_rows_after_any_offers() -> None:
    for seed in range(150):
        dice = random.Random(seed)
        known = Known()
        bounds = CacheBounds(neighbours_max=dice.choice((1, 2, 5, 64)), neighbourhoods_max=dice.choice((2, 1_000)))
        near = NearLinks(bounds, known.reading)
        for _ in range(60):
            fragment = dice.choice(FRAGMENTS)
            number = dice.randrange(20)
            kind = KINDS[number % len(KINDS)]
            time, grade, authority = dice.randrange(9), dice.choice((1, 2, 3)), dice.choice((0, 0, 0, 1))
            link = Link(f"n{number:02}", kind, grade, time, "shop", f"e{time}", authority)
            known.say(fragment, link)
            near.offer(fragment, link, peer=kind == "email")
            if dice.random() < 0.5:
                asked = dice.choice(FRAGMENTS)
                ordered = known.ordered(asked)
                assert list(near.all(asked)) == ordered
                few = near.few(asked)
                assert few == (ordered if len(ordered) <= bounds.neighbours_max else None)
                assert list(near.of_kind(asked, "email")) == [link for link in ordered if link.kind == "email"]
                linked = near.to(asked, link.neighbour)
                assert linked in (None, known.links[asked].get(link.neighbour))


def test_the_first_links_of_very_many_are_read_once() -> None:
    known = Known()
    near = NearLinks(CacheBounds(), known.reading)
    for number in range(500):
        known.say("a", Link(f"n{number:03}", "cookie", 1, number, "shop", "e"))
    for _ in range(10):
        assert near.few("a") is None
        assert next(near.all("a")).neighbour == "n000"
    assert known.read == 1
    assert len(list(near.all("a"))) == 500
