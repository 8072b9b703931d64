"""Which partition a record goes to: always the same for a key, or one after the other."""

import pytest

from schemas.clock import ManualClock
from schemas.errors import TopicError
from schemas.topics import Catalogue, Topic, partition_of
from streams.placement import ByKey, InTurns, Placement

CATALOGUE = Catalogue("gt.", 4, ("web",))
RAW = CATALOGUE.raw("web")
DEAD = CATALOGUE.name(Topic.DEAD)
TURN_MS = 20
MILLISECOND = 0.001


def test_a_key_decides_the_partition() -> None:
    placement = ByKey(CATALOGUE)
    keys = [f"key-{number}".encode() for number in range(40)]
    assert [placement.partition(RAW, key) for key in keys] == [partition_of(key, 4) for key in keys]
    assert {placement.partition(RAW, key) for key in keys} == {0, 1, 2, 3}
    assert placement.partition(RAW, None) == partition_of(b"", 4)


def test_what_comes_within_a_turn_goes_to_one_partition_whatever_its_key() -> None:
    clock = ManualClock(0)
    placement = InTurns(CATALOGUE, TURN_MS, clock)
    turns: list[int] = []
    for _ in range(8):
        found = {placement.partition(RAW, key) for key in (b"a", b"b", None)}
        clock.advance((TURN_MS - 1) * MILLISECOND)
        found |= {placement.partition(RAW, b"c")}
        assert len(found) == 1
        turns += found
        clock.advance(MILLISECOND)
    assert turns == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_topic_of_one_partition_has_no_other() -> None:
    clock = ManualClock(0)
    placement = InTurns(CATALOGUE, 0, clock)
    for _ in range(5):
        assert placement.partition(DEAD, b"a") == 0
        clock.advance(MILLISECOND)


@pytest.mark.parametrize("placement", [ByKey(CATALOGUE), InTurns(CATALOGUE, TURN_MS)])
def test_a_topic_that_is_not_in_the_catalogue_is_named(placement: Placement) -> None:
    with pytest.raises(TopicError, match=r"gt\.nowhere"):
        placement.partition("gt.nowhere", b"a")
