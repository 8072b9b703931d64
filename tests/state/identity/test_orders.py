"""Orders: the engine comes to what the whole comes to, and what is undone or kept apart leaves no trace."""

import random
from collections.abc import Iterable, Iterator

import msgspec
import pytest

from schemas.identity_policy import Grade
from schemas.messages import Add, IdentityMessage, Own, Undo
from schemas.orders import Verb
from schemas.roles import HOME, SHARED
from schemas.rows import EVIDENCE_ROW_PREFIX, LINK_ROW_PREFIX, LinkRow
from schemas.topics import DeadHeader, Topic
from state.engine import MemoryRows, Output
from state.identity.cache_bounds import CacheBounds
from state.identity.evidence import UNFORMED
from tests.state.identity.driving import (
    DrivenEngine,
    changes,
    check_messages,
    evidence,
    fragment,
    identifier,
    routed,
    sealed,
)
from tests.state.identity.ordered_logs import Message, known_of, order, random_log
from tests.state.identity.populations import low_policy

#: Without a limit for claims alone, and with one.
POLICIES = (low_policy(), low_policy(claimed_from=1))
# So small that nearly everything is read back from rows.
TINY = CacheBounds(placements_max=2, identifiers_max=2, neighbourhoods_max=2, neighbours_max=2, orders_max=2)


def _verify(driven: DrivenEngine, log: list[tuple[int, Message]]) -> None:
    known = known_of(log)
    assert driven.placements() == known.partition(driven.policy).placements
    for name in known.identifiers:
        row = driven.row(name)
        assert row.formed == known.formed.get(name, UNFORMED)
        assert row.former == (name in known.former)


def _check(seed: int, bounds: CacheBounds | None, *, sources: bool) -> None:
    chance = random.Random(seed)
    messages = random_log(seed, sources=sources)
    driven = DrivenEngine(POLICIES[seed // 2 % 2], bounds=bounds, split_neighbours_max=chance.choice((1, 100)))
    log: list[tuple[int, Message]] = []
    for message in messages:
        log.append((driven.offset, message))
        driven.take(message)
        if chance.random() < 0.4:
            driven.repair(steps_max=chance.randrange(3))
        if chance.random() < 0.2:
            driven.checkpoint()
            driven.restart()
        if chance.random() < 0.4:
            driven.repair()
            _verify(driven, log)
    driven.repair()
    _verify(driven, log)
    check_messages(driven)


@pytest.mark.parametrize("bounds", [None, TINY], ids=["cached", "from rows"])
def test_orders_in_any_order_of_arrival_give_the_same_as_the_whole(bounds: CacheBounds | None) -> None:
    for seed in range(40_000, 40_200):
        try:
            _check(seed, bounds, sources=seed % 2 == 0)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


def _rows(driven: DrivenEngine) -> dict[bytes, bytes | LinkRow]:
    """All rows but those of orders, epochs left out."""
    rows: dict[bytes, bytes | LinkRow] = {}
    for key, value in driven.rows.rows.items():
        if key.startswith(LINK_ROW_PREFIX):
            name = key.removeprefix(LINK_ROW_PREFIX).decode()
            rows[key] = msgspec.structs.replace(driven.row(name), epoch=0, ordered=0)
        elif key.startswith(EVIDENCE_ROW_PREFIX):
            rows[key] = value
    return rows


def _ran(messages: Iterable[tuple[int, IdentityMessage]]) -> DrivenEngine:
    driven = DrivenEngine(POLICIES[1])
    for offset, message in messages:
        driven.offset = offset
        driven.take(message)
    driven.offset = 1_000
    driven.repair()
    return driven


def test_link_any_events_and_split_is_the_same_as_forbidden_from_the_start() -> None:
    for seed in range(42_000, 42_080):
        log = [(10 + place, message) for place, message in enumerate(random_log(seed))]
        items = sorted(known_of(log).identifiers.values())
        one, other = random.Random(seed).sample(items, 2)
        linked = evidence([one, other], source="desk", name="link", time=0, grade=Grade.RECORD)
        split = order(Verb.SPLIT, one, other, name="split", time=9)
        late = _ran([(5, linked), *log, (900, split)])
        early = _ran([(4, split), (5, linked), *log])
        assert _rows(late) == _rows(early), f"seed {seed}"
        check_messages(late)
        check_messages(early)


def test_an_order_that_is_undone_is_as_if_it_had_never_been_given() -> None:
    for seed in range(43_000, 43_080):
        log = [(10 + place, message) for place, message in enumerate(random_log(seed))]
        plain = _ran(log)
        items = sorted(known_of(log).identifiers.values())
        one, other = random.Random(seed).sample(items, 2)
        given = [
            order(Verb.REQUIRE, one, other, name="given", time=9),
            order(Verb.FORBID, one, other, name="given", time=9),
            order(Verb.SPLIT, one, name="given", time=9),
            order(Verb.SPLIT, name="given", time=9, withdrawn_source="crm"),
        ][seed % 4]
        undone = _ran([(5, given), *log, (900, Undo("undo", 10, "given"))])
        assert _rows(undone) == _rows(plain), f"seed {seed}"
        check_messages(undone)


def test_what_is_applied_again_says_nothing() -> None:
    for seed in range(44_000, 44_060):
        driven = DrivenEngine(POLICIES[0])
        messages = random_log(seed)
        driven.take(*messages)
        driven.repair()
        driven.restart()
        driven.take(*messages)
        drained = driven.engine.drain()
        assert (drained.outputs, drained.rows) == ([], {})
        assert driven.engine.counts == {"duplicate": len(messages)}


ANN, BOB, CRM, COOKIE = map(identifier, ("email:ann@example.com", "email:bob@example.com", "crm:1", "cookie:c"))


@pytest.mark.parametrize(
    "message",
    [
        order("unite", ANN, BOB, name="o"),
        order(Verb.REQUIRE, ANN, name="o"),
        order(Verb.REQUIRE, ANN, ANN, name="o"),
        order(Verb.REQUIRE, ANN, BOB, CRM, name="o"),
        order(Verb.SPLIT, name="o"),
        order(Verb.SPLIT, ANN, name="o", withdrawn_source="crm"),
        order(Verb.SPLIT, ANN, BOB, name="o", record="crm"),
        order(Verb.SPLIT, ANN, name="o", record="crm"),
        order(Verb.SPLIT, name="o", record="crm", withdrawn_source="shop"),
        order(Verb.REQUIRE, ANN, BOB, name="o/1"),
        order(Verb.REQUIRE, ANN, BOB, name=""),
        order(Verb.REQUIRE, ANN, BOB, name="o" * 65),
        order(Verb.REQUIRE, ANN, BOB, name="", record="crm"),
        order(Verb.REQUIRE, ANN, BOB, name="o", record="c" * 257),
        order(Verb.REQUIRE, ANN, BOB, name="o", time=-1),
        order(Verb.REQUIRE, ANN, BOB, name="o", former=fragment("crm:1")),
        order(Verb.FORBID, ANN, BOB, name="o", former=fragment("email:ann@example.com")),
        msgspec.structs.replace(order(Verb.REQUIRE, ANN, BOB, name="o"), authority=0),
        msgspec.structs.replace(order(Verb.REQUIRE, ANN, BOB, name="o"), authority=3),
        msgspec.structs.replace(order(Verb.REQUIRE, ANN, BOB, name="o"), source="crm"),
        msgspec.structs.replace(order(Verb.REQUIRE, ANN, BOB, name="o"), author="a" * 129),
        msgspec.structs.replace(order(Verb.REQUIRE, ANN, BOB, name="o"), reason="r" * 501),
        msgspec.structs.replace(
            order(Verb.REQUIRE, ANN, BOB, name="o"),
            identifiers=(sealed(ANN), msgspec.structs.replace(sealed(BOB), sealed=sealed(ANN).sealed)),
        ),
        Undo("u", -1, "o"),
        Undo("", 0, "o"),
        Undo("u", 0, "o/1"),
    ],
)
def test_an_order_that_cannot_be_is_dead_and_changes_nothing(message: IdentityMessage) -> None:
    driven = DrivenEngine()
    driven.show("email:ann@example.com", "cookie:c")
    before = dict(driven.rows.rows)
    driven.take(message)
    [letter] = driven.checkpoint()
    assert letter.topic == Topic.DEAD
    assert dict(letter.headers)[DeadHeader.CODE] == b"unreadable_message"
    assert driven.rows.rows == before


def _said(outputs: list[Output]) -> list[tuple[str, str, str, str]]:
    return [(each.change, each.fragment, each.evidence.id, each.evidence.order) for each in changes(outputs)]


def test_decisions_name_the_order_that_brought_them_about() -> None:
    driven = DrivenEngine()
    driven.show("email:ann@example.com", "cookie:c")
    ann, bob, cookie = (fragment(text) for text in ("email:ann@example.com", "email:bob@example.com", "cookie:c"))
    steps: list[tuple[IdentityMessage, list[tuple[str, str, str, str]]]] = [
        (order(Verb.FORBID, ANN, COOKIE, name="o1"), [("split", cookie, "o1", "forbid")]),
        (Undo("u1", 0, "o1"), [("attached", cookie, "o1", "undo")]),
        (order(Verb.SPLIT, COOKIE, name="o2"), [("split", cookie, "o2", "split")]),
        (Undo("u2", 0, "o2"), [("attached", cookie, "o2", "undo")]),
        (order(Verb.REQUIRE, ANN, BOB, name="o3"), [("linked", bob, "o3", "require")]),
        (order(Verb.FORBID, BOB, COOKIE, name="o4"), [("split", cookie, "o4", "forbid")]),
        (
            order(Verb.SPLIT, ANN, BOB, name="o5", time=1),
            [("split", bob, "o5", "split"), ("attached", cookie, "o5", "split")],
        ),
        (Undo("u9", 0, "never given"), []),
    ]
    for message, said in steps:
        driven.take(message)
        assert sorted(_said(driven.checkpoint())) == sorted(said)
    assert driven.row(ann).owner == driven.row(cookie).owner == ann
    # Nobody but an order has named Bob's address.
    assert (driven.row(bob).grade, driven.row(bob).formed, driven.row(bob).first) == (0, UNFORMED, None)


def test_a_replaced_identifier_is_former_as_long_as_the_order_holds() -> None:
    driven = DrivenEngine()
    driven.show("crm:1", "email:ann@example.com", grade=Grade.RECORD)
    old, new = fragment("email:ann@example.com"), fragment("email:bob@example.com")
    replaced = order(Verb.REQUIRE, BOB, ANN, name="e1", record="crm", former=old)
    driven.take(replaced)
    driven.checkpoint()
    before = driven.row(old)
    assert (before.former, driven.row(new).former) == (True, False)
    assert driven.row(old).owner == driven.row(new).owner == fragment("crm:1")
    # An operator's word on the pair stands before it, though the two stay one customer.
    driven.take(order(Verb.REQUIRE, ANN, BOB, name="o1"))
    told = routed(driven.checkpoint())
    after = driven.row(old)
    assert (after.former, after.owner, after.grade) == (False, before.owner, before.grade)
    assert after.epoch == before.epoch + 1
    assert {type(message) for message in told if getattr(message, "epoch", 0) == after.epoch} >= {Own, Add}
    driven.take(Undo("u1", 0, "o1"))
    driven.checkpoint()
    assert driven.row(old).former
    check_messages(driven)


def test_a_split_identifier_stands_alone_whoever_is_seen_with_it_until_that_is_undone() -> None:
    driven = DrivenEngine()
    driven.take(order(Verb.SPLIT, COOKIE, name="o1"))
    for mail in ("ann", "bob", "cem"):
        driven.show("cookie:c", f"email:{mail}@example.com", grade=Grade.LOGIN)
    driven.take(order(Verb.REQUIRE, COOKIE, ANN, name="e1", record="crm"))
    driven.checkpoint()
    assert driven.row(fragment("cookie:c")).state == HOME
    # An operator's own word about a pair is more than what he said of all.
    driven.take(order(Verb.REQUIRE, COOKIE, ANN, name="o2"))
    driven.checkpoint()
    assert driven.row(fragment("cookie:c")).owner == fragment("email:ann@example.com")
    driven.take(Undo("u2", 0, "o2"), order(Verb.FORBID, COOKIE, ANN, name="e2", time=1, record="crm"))
    driven.take(Undo("u1", 0, "o1"))
    driven.checkpoint()
    assert driven.row(fragment("cookie:c")).state == SHARED


def test_a_record_that_repeats_itself_undoes_nobodys_split() -> None:
    driven = DrivenEngine()
    merged = order(Verb.REQUIRE, ANN, BOB, name="e1", record="crm")
    again = order(Verb.REQUIRE, ANN, BOB, name="e2", time=9, record="crm")
    driven.take(merged, order(Verb.SPLIT, ANN, BOB, name="o1", time=1), again)
    driven.checkpoint()
    assert driven.row(fragment("email:ann@example.com")).owner != driven.row(fragment("email:bob@example.com")).owner
    driven.take(Undo("u1", 10, "o1"))
    driven.checkpoint()
    assert driven.row(fragment("email:ann@example.com")).owner == driven.row(fragment("email:bob@example.com")).owner


def test_a_pair_order_about_a_crowd_writes_a_few_rows() -> None:
    """However many neighbours an identifier has, an order about one of them writes what that one needs."""
    driven = DrivenEngine()
    for number in range(300):
        driven.take(evidence([identifier("cookie:kiosk"), identifier(f"email:{number}")], name=f"e{number}"))
    driven.checkpoint()
    for message in (
        order(Verb.FORBID, identifier("cookie:kiosk"), identifier("email:7"), name="o1"),
        order(Verb.SPLIT, identifier("cookie:kiosk"), name="o2"),
        Undo("u2", 0, "o2"),
    ):
        driven.take(message)
        drained = driven.engine.drain()
        driven.rows.write(drained.rows)
        driven.engine.settled()
        assert len(drained.rows) <= 5
        assert len(drained.outputs) <= 2


class CountingRows(MemoryRows):
    """Counts the rows that are looked up or passed over."""

    read = 0

    def get(self, key: bytes) -> bytes | None:
        """As the memory's, counting."""
        self.read += 1
        return super().get(key)

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """As the memory's, counting."""
        for item in super().scan(prefix, start):
            self.read += 1
            yield item


def test_what_a_require_costs_grows_no_faster_than_what_requires_unite() -> None:
    """A record that clears up many duplicates of one customer stalls nobody."""
    costs = []
    for count in (15, 60):
        rows = CountingRows()
        driven = DrivenEngine(rows=rows, bounds=TINY)
        for number in range(count):
            duplicate = identifier(f"crm:{number}")
            driven.take(order(Verb.REQUIRE, ANN, duplicate, name=f"e{number}", time=number, record="crm"))
        driven.checkpoint()
        rows.read = 0
        driven.take(order(Verb.REQUIRE, ANN, identifier("crm:last"), name="last", time=count, record="crm"))
        costs.append(rows.read)
    assert costs[1] < 6 * costs[0]
