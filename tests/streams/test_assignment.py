"""Partitions are shared out evenly, topic by topic, and stay where they are as far as that allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.assignment import BalancedAssignor, balance

Shares = dict[str, dict[str, list[int]]]

TOPICS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), st.integers(1, 9), min_size=1)
NAMES = st.sets(st.sampled_from(["m1", "m2", "m3", "m4", "m5"]), min_size=1)
CLAIMS = st.dictionaries(st.sampled_from(["a", "b", "x"]), st.frozensets(st.integers(0, 12)))


def owned(shares: Shares, members: set[str]) -> dict[str, dict[str, frozenset[int]]]:
    return {
        member: {topic: frozenset(numbers) for topic, numbers in shares.get(member, {}).items()} for member in members
    }


def moved(before: Shares, after: Shares) -> int:
    places = {
        (topic, number): member for member, share in before.items() for topic, ns in share.items() for number in ns
    }
    return sum(
        places.get((topic, number)) != member
        for member, share in after.items()
        for topic, ns in share.items()
        for number in ns
    )


@given(TOPICS, st.dictionaries(st.sampled_from(["m1", "m2", "m3", "m4"]), CLAIMS, min_size=1))
def test_every_partition_has_one_member_and_each_topic_is_even_whatever_members_claim(
    topics: dict[str, int], members: dict[str, dict[str, frozenset[int]]]
) -> None:
    shares = balance(topics, members)
    for topic, count in topics.items():
        numbers = [number for share in shares.values() for number in share.get(topic, [])]
        assert sorted(numbers) == list(range(count))
        sizes = [len(share.get(topic, [])) for share in shares.values()]
        assert max(sizes) - min(sizes) <= 1


@given(TOPICS, NAMES)
def test_nothing_moves_while_the_members_stay(topics: dict[str, int], names: set[str]) -> None:
    first = balance(topics, owned({}, names))
    assert balance(topics, owned(first, names)) == first


@given(TOPICS, NAMES)
def test_when_a_member_goes_only_its_partitions_move(topics: dict[str, int], names: set[str]) -> None:
    before = balance(topics, owned({}, names | {"gone"}))
    after = balance(topics, owned(before, names))
    assert moved(before, after) == sum(len(numbers) for numbers in before["gone"].values())


@given(TOPICS, NAMES)
def test_a_member_that_joins_takes_its_share_and_nothing_else_moves(topics: dict[str, int], names: set[str]) -> None:
    before = balance(topics, owned({}, names))
    after = balance(topics, owned(before, names | {"new"}))
    assert moved(before, after) == sum(len(numbers) for numbers in after["new"].values())


def test_two_workers_get_half_of_every_topic() -> None:
    topics = {f"raw.{number}": 4 for number in range(12)} | {"routed": 4, "identity.evidence": 1}
    first = balance(topics, owned({}, {"one"}))
    both = balance(topics, owned(first, {"one", "two"}))
    assert [len(both[member]["routed"]) for member in ("one", "two")] == [2, 2]
    sums = sorted(sum(map(len, share.values())) for share in both.values())
    assert sums == [26, 27]


@pytest.mark.parametrize("memory", [b"\xc1nonsense", b"\x81\xa1\xff\x90"], ids=["no msgpack", "no UTF-8"])
def test_a_member_whose_memory_can_not_be_read_has_none(memory: bytes) -> None:
    class Cluster:
        def partitions_for_topic(self, _topic: str) -> set[int]:
            return {0, 1}

    leader = BalancedAssignor()
    metadata = leader.metadata(["routed"])
    strange = type(metadata)(metadata.version, ["routed"], memory)
    shares = leader.assign(Cluster(), {"a": metadata, "b": strange})
    assert sorted(partition.partition for share in shares.values() for partition in share.partitions()) == [0, 1]


def test_what_was_assigned_is_told_at_the_next_rebalance() -> None:
    class Cluster:
        def partitions_for_topic(self, _topic: str) -> set[int]:
            return {0, 1}

    one, other = BalancedAssignor(), BalancedAssignor()
    first = one.assign(Cluster(), {"a": one.metadata(["routed"]), "b": other.metadata(["routed"])})
    one.on_assignment(first["b"])
    other.on_assignment(first["a"])
    second = one.assign(Cluster(), {"a": one.metadata(["routed"]), "b": other.metadata(["routed"])})
    assert second["a"].partitions() == first["b"].partitions()
