"""The engine: rows and messages say what the whole partition says, after any batching, restart and repetition."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from schemas.dead_letters import VALUE_SIZE_BYTES_MAX
from schemas.identity_policy import Grade
from schemas.messages import Add, Drop, Evidence, Own, encode
from schemas.roles import SHARED
from schemas.rows import POLICY_ROW_KEY
from schemas.topics import DeadHeader, Topic
from state.engine import MemoryRows
from state.identity.cache_bounds import CacheBounds
from state.identity.evidence import Sighting
from tests.state.identity.driving import (
    KEYRING,
    DrivenEngine,
    changes,
    check_messages,
    evidence,
    fragment,
    identifier,
    routed,
)
from tests.state.identity.populations import CLUSTER_LIMIT, Population, low_policy, random_population

POLICY = low_policy()
# So small that nearly everything is read back from rows.
TINY = CacheBounds(placements_max=2, identifiers_max=2, neighbourhoods_max=2, neighbours_max=2)


def _messages(population: Population, events: list[list[Sighting]]) -> list[Evidence]:
    messages = []
    for event in events:
        names = dict.fromkeys(end for item in event for end in (item.one, item.other))
        first = event[0]
        messages.append(
            evidence(
                [population.identifiers[name] for name in names],
                source=first.source,
                name=first.id,
                time=first.time,
                grade=first.grade,
            )
        )
    return messages


def _keyed(population: Population) -> Population:
    """The same population under the fragment ids that the keyring gives."""
    ids = {name: KEYRING.fragment_id(item) for name, item in population.identifiers.items()}
    return Population(
        {ids[name]: item for name, item in population.identifiers.items()},
        [[item._replace(one=ids[item.one], other=ids[item.other]) for item in event] for event in population.events],
    )


@pytest.mark.parametrize("bounds", [None, TINY], ids=["cached", "from rows"])
def test_engine_equals_the_whole_and_its_messages_tell_it(bounds: CacheBounds | None) -> None:
    for seed in range(20_000, 20_350):
        population = _keyed(random_population(seed))
        chance = random.Random(seed)
        for _ in range(2):
            events = population.events[:]
            chance.shuffle(events)
            driven = DrivenEngine(POLICY, bounds=bounds)
            for message in _messages(population, events):
                driven.take(message)
                if chance.random() < 0.4:
                    driven.checkpoint()
                if chance.random() < 0.2:
                    driven.checkpoint()
                    driven.restart()
            driven.checkpoint()
            whole = population.whole(events, [], POLICY, CLUSTER_LIMIT)
            assert driven.placements() == whole.placements, f"seed {seed}"
            check_messages(driven)


def test_a_restart_in_the_middle_gives_the_rows_and_outputs_of_an_uninterrupted_run() -> None:
    for seed in range(100):
        population = _keyed(random_population(seed))
        messages = _messages(population, population.events)
        uninterrupted = DrivenEngine(POLICY)
        uninterrupted.take(*messages)
        uninterrupted.checkpoint()
        driven = DrivenEngine(POLICY)
        middle = len(messages) // 2
        driven.take(*messages[:middle])
        driven.checkpoint()
        # What was applied after the last checkpoint is lost with the process, and comes again.
        driven.take(*messages[middle:])
        driven.restart()
        driven.offset = middle
        driven.take(*messages[middle:])
        driven.checkpoint()
        assert driven.rows.rows == uninterrupted.rows.rows
        assert driven.outputs == uninterrupted.outputs


def test_evidence_applied_again_gives_no_output_and_no_row() -> None:
    for seed in range(100):
        population = _keyed(random_population(seed))
        messages = _messages(population, population.events)
        driven = DrivenEngine(POLICY)
        driven.take(*messages)
        driven.checkpoint()
        driven.restart()
        driven.take(*messages)
        drained = driven.engine.drain()
        assert drained.outputs == []
        assert drained.rows == {}
        assert driven.engine.counts == Counter(duplicate=len(messages))


def test_later_sight_is_told_again_with_the_same_epoch_and_no_member_message() -> None:
    driven = DrivenEngine()
    month_us = 31 * 86_400_000_000
    people = [identifier("email:ann@example.com"), identifier("cookie:c1")]
    driven.take(evidence(people, name="e1", time=month_us))
    driven.checkpoint()
    before = driven.row(fragment("cookie:c1"))
    driven.take(evidence(people, name="e2", time=3 * month_us))
    later = routed(driven.checkpoint())
    assert {type(message) for message in later} == {Own}
    assert len(later) == 2
    driven.take(evidence(people, name="e0", time=5))
    assert len(routed(driven.checkpoint())) == 2
    after = driven.row(fragment("cookie:c1"))
    assert after.epoch == before.epoch
    assert after.first == 5
    assert (after.last or 0) > (before.last or 0)
    assert after.formed == before.formed == 0


def test_a_moved_home_gives_every_member_its_new_owner() -> None:
    driven = DrivenEngine()
    driven.show("cookie:c1", "device:d1")
    driven.show("device:d1", "phone:+31201234567")
    outputs = driven.show("phone:+31201234567", "email:ann@example.com")
    email, phone = fragment("email:ann@example.com"), fragment("phone:+31201234567")
    owns = {message.target: message.owner for message in routed(outputs) if isinstance(message, Own)}
    assert owns == {
        fragment(text): email for text in ("cookie:c1", "device:d1", "phone:+31201234567", "email:ann@example.com")
    }
    drops = {(message.target, message.fragment) for message in routed(outputs) if isinstance(message, Drop)}
    assert drops == {(phone, fragment("cookie:c1")), (phone, fragment("device:d1"))}
    adds = {(message.target, message.fragment) for message in routed(outputs) if isinstance(message, Add)}
    assert adds == {(email, phone), (email, fragment("cookie:c1")), (email, fragment("device:d1"))}
    assert [(change.change, change.customer, change.former) for change in changes(outputs)] == [
        ("merged", email, phone)
    ]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00",
        encode(Evidence("SOURCE", "e", 0, 1, (), ())).replace(b"SOURCE", b"\xff" * 6),
        encode(Own("t", "email", b"", "o", "home", 1, 1, 0, 0)),
        encode(evidence([identifier("email:a"), identifier("cookie:c")], grade=4)),
        encode(evidence([identifier("email:a"), identifier("cookie:c")], time=-1)),
        encode(evidence([identifier("email:a"), identifier("email:a")])),
        encode(evidence([identifier(f"cookie:{number}") for number in range(17)])),
        encode(Evidence("s", "e", 0, 1, evidence([identifier("email:a")]).identifiers, ((0, 1),))),
        encode(Evidence("s", "e", 0, 1, evidence([identifier("email:a")]).identifiers, ((-1, 0),))),
    ],
    ids=[
        "empty",
        "no message",
        "no UTF-8",
        "another message",
        "grade",
        "time",
        "pair of one",
        "too many",
        "place",
        "below",
    ],
)
def test_evidence_that_cannot_be_read_is_dead_and_the_next_is_applied(value: bytes) -> None:
    driven = DrivenEngine()
    driven.engine.apply(value, 7)
    [letter] = driven.checkpoint()
    assert letter.topic == Topic.DEAD
    assert letter.value == value
    headers = dict(letter.headers)
    assert headers[DeadHeader.CODE] == b"unreadable_message"
    assert headers[DeadHeader.OFFSET] == b"7"
    assert headers[DeadHeader.STAGE] == b"identity"
    assert list(driven.rows.rows) == [POLICY_ROW_KEY]
    driven.show("email:a", "cookie:c")
    assert driven.engine.counts == Counter(unreadable_message=1, applied=1)


def test_a_letter_about_very_large_evidence_fits_into_a_record() -> None:
    driven = DrivenEngine()
    driven.engine.apply(b"x" * 2_000_000, 7)
    [letter] = driven.checkpoint()
    assert len(letter.value or b"") == VALUE_SIZE_BYTES_MAX
    assert dict(letter.headers)[DeadHeader.CUT_FROM] == b"2000000"


def test_an_identifier_sealed_for_another_fragment_is_dead() -> None:
    message = evidence([identifier("email:a"), identifier("cookie:c")])
    one, other = message.identifiers
    swapped = Evidence("s", "e", 0, 1, (type(one)(one.fragment, one.kind, other.sealed), other), ((0, 1),))
    driven = DrivenEngine()
    driven.engine.apply(encode(swapped), 0)
    assert [output.topic for output in driven.checkpoint()] == [Topic.DEAD]


def test_a_kind_that_differs_from_the_sealed_one_is_dead() -> None:
    driven = DrivenEngine()
    driven.show("email:a", "cookie:c")
    message = evidence([identifier("email:a"), identifier("cookie:c")], name="other")
    one, other = message.identifiers
    swapped = Evidence("s", "e", 0, 1, (type(one)(one.fragment, "phone", one.sealed), other), ((0, 1),))
    driven.engine.apply(encode(swapped), 1)
    assert [output.topic for output in driven.checkpoint()] == [Topic.DEAD]


def test_decisions_name_their_evidence() -> None:
    driven = DrivenEngine()
    [attached] = changes(driven.show("email:ann@example.com", "cookie:c1", source="web"))
    assert (attached.change, attached.customer, attached.fragment, attached.kind, attached.grade) == (
        "attached",
        fragment("email:ann@example.com"),
        fragment("cookie:c1"),
        "cookie",
        "claimed",
    )
    assert (attached.evidence.source, attached.evidence.id, attached.evidence.grade) == ("web", "e0", "claimed")
    assert attached.evidence.time == "1970-01-01T00:00:00Z"
    [linked] = changes(driven.show("email:ann@example.com", "crm:1", grade=Grade.RECORD))[:1]
    assert linked.change == "merged"
    shared = changes(driven.show("email:ann@example.com", "crm:2", grade=Grade.RECORD))
    assert {(change.change, change.fragment) for change in shared} == {
        ("shared", fragment("email:ann@example.com")),
        ("split", fragment("cookie:c1")),
    }
    driven.show("crm:1", "account:a", grade=Grade.LOGIN)
    driven.show("crm:2", "account:b", grade=Grade.LOGIN)
    [veto] = changes(driven.show("account:a", "account:b", grade=Grade.LOGIN))
    assert (veto.change, veto.reason) == ("vetoed", "unique")
    assert {veto.fragment, veto.other} == {fragment("account:a"), fragment("account:b")}


class CountingRows(MemoryRows):
    """Counts the rows of evidence that are read."""

    read = 0

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """As the memory's, counting."""
        for item in super().scan(prefix, start):
            self.read += prefix.startswith(b"e/")
            yield item


def test_an_identifier_with_very_many_neighbours_stays_quick_to_place() -> None:
    """The rows that one more neighbour makes identity read don't grow with those that are there."""
    rows = CountingRows()
    driven = DrivenEngine(rows=rows)
    for number in range(400):
        driven.take(evidence([identifier("cookie:kiosk"), identifier(f"email:{number}")], name=f"e{number}"))
    driven.checkpoint()
    driven.restart()
    # The first time after a start its few neighbours of its own kind are looked for among all.
    driven.show("cookie:kiosk", "email:first")
    rows.read = 0
    driven.show("cookie:kiosk", "email:second")
    assert driven.placements()[fragment("cookie:kiosk")].state == SHARED
    assert rows.read <= 4 * (CacheBounds().neighbours_max + 2)
