"""Recovery is the time until a canary that was sent after the fault has come through in every partition."""

import json
from typing import Any, cast

import pytest

from bench.drill.canaries import SOURCE, Canaries, Canary
from bench.drill.installation import Installation
from bench.drill.senders import Senders
from bench.drill.workload import Sending
from schemas.errors import DeadCode
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.topics import Catalogue, partition_of

KEYRING = Keyring(b"a secret for tests only")


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Drilled:
    """As much of an installation as canaries need."""

    catalogue = Catalogue()
    keyring = KEYRING
    lookup_url = "http://127.0.0.1:1"


class Taker:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.truth: dict[tuple[str, str], dict[str, Any]] = {}
        self.posted: list[bytes] = []
        self.straight: list[Sending] = []

    async def post(self, _session: object, batch: list[bytes]) -> None:
        """Taken."""
        self.posted += batch

    def send_straight(self, sending: Sending) -> None:
        """Taken."""
        self.straight.append(sending)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
async def canaries(clock: Clock, taker: Taker) -> Canaries:
    return Canaries(cast("Installation", Drilled()), cast("Senders", taker), cast("Any", None), clock)


def sent(canaries: Canaries) -> list[Canary]:
    return list(canaries._unseen.values())


async def test_a_fault_sends_a_canary_to_each_partition_and_makes_it_part_of_the_truth(
    canaries: Canaries, taker: Taker
) -> None:
    canaries.struck(1)
    assert [canary.partition for canary in sent(canaries)] == [0, 1, 2, 3]
    for canary in sent(canaries):
        fragment = KEYRING.fragment_id(Identifier("email", canary.email))
        assert partition_of(fragment.encode(), 4) == canary.partition
    assert set(taker.truth) == {(SOURCE, f"canary-{number}") for number in (1, 2, 3, 4)}


async def test_it_is_recovered_from_when_the_last_partition_is(canaries: Canaries, clock: Clock) -> None:
    canaries.struck(1)
    first, *others, last = sent(canaries)
    clock.now += 2
    for canary in (first, *others):
        canaries.seen(canary)
    assert canaries.recovered == {}
    assert canaries.unrecovered == {1: 2.0}
    clock.now += 3
    canaries.seen(last)
    assert canaries.recovered == {1: 5.0}
    assert canaries.unrecovered == {}


async def test_a_canary_from_before_the_fault_proves_nothing(canaries: Canaries, clock: Clock) -> None:
    canaries.struck(1)
    before = sent(canaries)
    clock.now += 1
    canaries.struck(2)
    clock.now += 1
    for canary in before:
        canaries.seen(canary)
    assert canaries.recovered == {1: 2.0}
    assert canaries.unrecovered == {2: 1.0}


async def test_a_later_canary_counts_for_every_fault_before_it(canaries: Canaries, clock: Clock) -> None:
    canaries.struck(1)
    clock.now += 1
    canaries.struck(2)
    clock.now += 3
    for canary in sent(canaries)[4:]:
        canaries.seen(canary)
    assert canaries.recovered == {1: 4.0, 2: 3.0}
    assert canaries.unseen == 4


async def test_some_that_were_seen_are_forged_and_the_forgery_must_become_a_dead_letter(
    canaries: Canaries, taker: Taker
) -> None:
    canaries.struck(1)
    canaries.struck(2)
    for canary in sent(canaries):
        canaries.seen(canary)
    (forgery,) = taker.straight
    assert canaries.forged == {(SOURCE, "canary-5"): forgery.body}
    assert forgery.code is DeadCode.CONTENT_CONFLICT
    event = json.loads(forgery.body)
    truth = taker.truth[SOURCE, "canary-5"]
    assert event != truth
    assert (event["source"], event["id"], event["data"]["identifiers"]) == (
        SOURCE,
        "canary-5",
        truth["data"]["identifiers"],
    )


async def test_of_many_unseen_ones_the_oldest_and_the_newest_of_each_partition_are_looked_for(
    canaries: Canaries,
) -> None:
    for fault in range(20):
        canaries.struck(fault)
    looked_for = {canary.number for canary in canaries._looked_for()}
    assert looked_for == {*range(1, 13), *range(69, 81)}
    for canary in sent(canaries):
        if canary.number > 6:
            canaries.seen(canary)
    assert {canary.number for canary in canaries._looked_for()} == {1, 2, 3, 4, 5, 6}
