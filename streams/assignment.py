"""Which worker gets which partitions: each topic is spread evenly by itself, and as few partitions move as can be.

aiokafka's sticky assignor evens out the sum over all topics, and with it a second worker got raw topics only while all
of `routed`, where the work is, stayed with the first.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from schemas.strict_json import UNREADABLE

#: Changed whenever workers of the old and the new kind can't decide together.
PROTOCOL_NAME: Final = "goldenthread-balanced-1"
_VERSION: Final = 0

Owned = Mapping[str, frozenset[int]]


def balance(partitions: Mapping[str, int], members: Mapping[str, Owned]) -> dict[str, dict[str, list[int]]]:
    """The partitions of each topic for each member.

    1. Of each topic every member may keep its even share; where the shares leave a rest, some may keep one more,
       first those that have the least so far.
    2. What is left goes to whoever has the least of the topic, then the least in all.

    Args:
        partitions: topics with their number of partitions.
        members: members with what they had before; a partition that several claim is nobody's.

    Returns:
        Member to topic to partition numbers; no two members of a topic differ by more than one.
    """
    shares: dict[str, dict[str, list[int]]] = {member: {} for member in sorted(members)}
    totals = dict.fromkeys(shares, 0)
    for topic, count in sorted(partitions.items()):
        claims: dict[int, list[str]] = {number: [] for number in range(count)}
        for member in shares:
            for number in members[member].get(topic, ()):
                if number in claims:
                    claims[number].append(member)
        # Step 1.
        even, rest = divmod(count, len(shares))
        held: dict[str, list[int]] = {member: [] for member in shares}
        for member in sorted(shares, key=lambda name: (totals[name], name)):
            mine = [number for number, claimants in claims.items() if claimants == [member]]
            more = rest > 0 and len(mine) > even
            rest -= more
            held[member] = mine[: even + more]
        # Step 2.
        kept = {number for numbers in held.values() for number in numbers}
        for number in claims.keys() - kept:
            least = min(shares, key=lambda name: (len(held[name]), totals[name] + len(held[name]), name))
            held[least].append(number)
        for member, numbers in held.items():
            totals[member] += len(numbers)
            if numbers:
                shares[member][topic] = sorted(numbers)
    return shares


class BalancedAssignor:
    """Gives `balance` the form that aiokafka asks for; one object for each consumer, as it remembers what it had."""

    name: str = PROTOCOL_NAME

    def __init__(self) -> None:
        self._owned: dict[str, list[int]] = {}

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells the group's leader: its topics, and what it has."""
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), msgspec.msgpack.encode(self._owned))

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """As the group's leader, share all partitions out."""
        topics = {topic for metadata in members.values() for topic in metadata.subscription}
        partitions = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        shares = balance(partitions, {member: _owned(metadata.user_data) for member, metadata in members.items()})
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, list(share.items()), b"")
            for member, share in shares.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what this member has."""
        self._owned = {topic: list(numbers) for topic, numbers in assignment.assignment}


def _owned(user_data: bytes | None) -> dict[str, frozenset[int]]:
    """What a member says that it has; nothing where that can't be read, which costs moves and nothing else."""
    try:
        return msgspec.msgpack.decode(user_data or b"\x80", type=dict[str, frozenset[int]])
    except UNREADABLE:
        return {}
