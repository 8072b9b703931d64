"""However a repair is cut up, and whatever comes between its steps, it ends where the whole at once is.

Method: random logs of evidence, orders and undos; somewhere in each other policies come into force, and sources are
split off. Steps are of one fragment or a few, messages arrive between them, engines crash and begin anew, and messages
to identity itself come twice or late. At the end rows, and what messages told, are those of the partition at once.
"""

import random
from collections import deque
from dataclasses import dataclass

import msgspec
import pytest

from schemas.identity_policy import DEFAULT_POLICY, Policy, Strength
from schemas.messages import Evidence, Order, PolicyChange, Undo, encode
from schemas.normalise import unlinkable_patterns
from schemas.orders import Verb
from schemas.policy_parts import encode_policy
from schemas.rows import POLICY_ROW_KEY, REPAIR_ROW_KEY, PolicyRow, RepairRow, RowDecoder, link_row_key
from schemas.topics import DeadHeader, Topic
from state.engine import MemoryRows
from state.identity import repair
from state.identity.repair import Again, RepairRuns
from tests.state.identity.driving import (
    DrivenEngine,
    FollowedOwnership,
    changes,
    fragment,
    identifier,
    routed,
)
from tests.state.identity.ordered_logs import known_of, order, random_log
from tests.state.identity.populations import low_policy

_REPAIRS = RowDecoder(RepairRow)
_POLICIES = RowDecoder(PolicyRow)


def other_policy(chance: random.Random, base: Policy) -> Policy:
    """The same kinds in the same order; everything else that may change at any time is otherwise."""
    identifying, medium = chance.randint(0, 6), chance.randint(8, 12)
    kinds = []
    for place, kind in enumerate(base.kinds):
        strength = Strength.IDENTIFYING if place < identifying else Strength.MEDIUM if place < medium else Strength.WEAK
        kinds.append(
            kind
            if kind.strength is Strength.NONE
            else msgspec.structs.replace(
                kind, strength=strength, unique=chance.random() < 0.3, shared_from=chance.choice((0, 1, 2, 3, 20))
            )
        )
    unlinkable = tuple(f"*v{digit}*" for digit in chance.sample(range(10), chance.choice((0, 0, 1, 3))))
    return msgspec.structs.replace(
        base, kinds=tuple(kinds), cluster_limit=chance.choice((2, 3, 4, 100)), unlinkable=unlinkable
    )


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of three fragments, two at a time."""
    monkeypatch.setattr(repair, "FRAGMENTS_PER_STEP", 3)
    monkeypatch.setattr(repair, "FRAGMENTS_PER_BATCH", 2)
    monkeypatch.setattr(repair, "MOVES_PER_STEP", 2)


@dataclass
class _Drive:
    """An engine whose messages to itself wait until they are taken."""

    chance: random.Random
    driven: DrivenEngine

    def __post_init__(self) -> None:
        self.log: list[tuple[int, Evidence | Order | Undo]] = []
        self.asked: deque[bytes] = deque()
        self.steps = 0

    def take(self, message: Evidence | Order | Undo | PolicyChange) -> None:
        """A message from elsewhere; it is lost, and comes again, where the engine crashes before its commit."""
        if not isinstance(message, PolicyChange):
            self.log.append((self.driven.offset, message))
        self._apply(encode(message))

    def step(self) -> None:
        """One of identity's messages to itself, now and then twice."""
        value = self.asked.popleft()
        self.steps += 1
        self._apply(value)
        if self.chance.random() < 0.1:
            self._apply(value)

    def settle(self) -> None:
        """All of them."""
        while self.asked:
            self.step()

    def _apply(self, value: bytes) -> None:
        driven = self.driven
        if self.chance.random() < 0.05:
            driven.engine.apply(value, driven.offset)
            driven.restart()
        driven.engine.apply(value, driven.offset)
        driven.offset += 1
        self.asked.extend(o.value or b"" for o in driven.checkpoint() if o.topic == Topic.EVIDENCE)


def _check(driven: DrivenEngine, log: list[tuple[int, Evidence | Order | Undo]], policy: Policy) -> None:
    known = known_of(log)
    patterns = unlinkable_patterns(policy)
    known.split_identifiers |= {name for name, one in known.identifiers.items() if patterns.match(one.kind, one.value)}
    whole = known.partition(policy).placements
    assert driven.placements() == whole
    assert driven.rows.get(REPAIR_ROW_KEY) is None
    followed = FollowedOwnership()
    for message in routed(driven.outputs):
        followed.take(message)
    told = {name: (own.owner, own.state, own.grade) for name, own in followed.owns.items()}
    assert told == {name: (place.owner, place.state, place.grade) for name, place in whole.items()}
    for owner in whole:
        members = {f: p for f, p in whole.items() if p.owner == owner and p.state in ("joined", "attached")}
        assert followed.wanted(owner) == {f: (p.state, p.grade) for f, p in members.items()}


def _run(seed: int) -> int:
    chance = random.Random(seed)
    first = other_policy(chance, low_policy()) if chance.random() < 0.5 else low_policy()
    drive = _Drive(chance, DrivenEngine(first))
    messages: list[Evidence | Order | Undo | PolicyChange] = list(random_log(seed))
    policy = first
    policies = [other_policy(chance, low_policy()) for _ in range(chance.choice((0, 1, 1, 2)))]
    places = sorted(chance.randrange(len(messages) + 1) for _ in policies)
    for number, (place, each) in enumerate(zip(places, policies, strict=True)):
        messages.insert(place + number, PolicyChange(f"p{number}", 0, encode_policy(each), "ann", "a test"))
        policy = each
    for message in messages:
        drive.take(message)
        while drive.asked and chance.random() < 0.4:
            drive.step()
    drive.settle()
    _check(drive.driven, drive.log, policy)
    return drive.steps


@pytest.mark.usefixtures("small_steps")
def test_a_repair_ends_where_the_whole_at_once_is_whatever_comes_between() -> None:
    steps = sum(_run(seed) for seed in range(40_000, 40_250))
    assert steps > 1_000


def _with(policy: Policy, kind: str, **changed: object) -> Policy:
    kinds = [msgspec.structs.replace(each, **changed) if each.name == kind else each for each in policy.kinds]
    return msgspec.structs.replace(policy, kinds=tuple(kinds))


def _change(policy: Policy, name: str = "p1") -> PolicyChange:
    return PolicyChange(name, 5, encode_policy(policy), "ann", "a test")


def _named_past(kind: str, *others: str) -> str:
    """An identifier of the kind whose fragment id is greater than those of the others: a repair comes to it last."""
    greatest = max(map(fragment, others))
    return next(text for text in (f"{kind}:{n}" for n in range(1_000)) if fragment(text) > greatest)


def _row(driven: DrivenEngine, key: bytes) -> bytes:
    value = driven.rows.get(key)
    assert value is not None
    return value


@pytest.mark.usefixtures("small_steps")
def test_who_was_joined_through_what_is_shared_now_is_joined_no_more() -> None:
    """The repair comes to both accounts before it comes to the e-mail that joined them."""
    hub = _named_past("email", "account:a", "account:b")
    driven = DrivenEngine()
    driven.show("account:a", hub, grade=2)
    driven.show("account:b", hub, grade=2)
    assert driven.placements()[fragment("account:b")].owner == fragment("account:a")
    driven.take(_change(_with(DEFAULT_POLICY, "email", shared_from=1)))
    driven.repair()
    placements = driven.placements()
    assert {text: placements[fragment(text)].state for text in ("account:a", "account:b", hub)} == {
        "account:a": "home",
        "account:b": "home",
        hub: "shared",
    }
    made = {(each.change, each.fragment) for each in changes(driven.outputs) if each.evidence.order == "policy"}
    assert made == {("shared", fragment(hub)), ("split", fragment("account:b"))}


@pytest.mark.usefixtures("small_steps")
def test_splitting_a_source_off_ends_what_it_required_and_its_undo_brings_it_back() -> None:
    driven = DrivenEngine()
    driven.show("account:x", "crm:1", grade=2)
    driven.show("account:x", "crm:2", grade=2)
    driven.take(order(Verb.REQUIRE, identifier("crm:1"), identifier("crm:2"), name="m1", record="billing"))
    driven.repair()
    together = driven.placements()
    assert {place.owner for place in together.values()} == {fragment("crm:1")}
    driven.take(order(Verb.SPLIT, name="s1", withdrawn_source="billing"))
    driven.repair()
    assert driven.placements()[fragment("account:x")].state == "shared"
    assert driven.placements()[fragment("crm:2")].owner == fragment("crm:2")
    assert changes(driven.outputs)[-1].evidence.order == "split"
    driven.take(Undo("u1", 0, "s1"))
    driven.repair()
    assert driven.placements() == together
    assert (changes(driven.outputs)[-1].evidence.order, changes(driven.outputs)[-1].evidence.id) == ("undo", "s1")


@pytest.mark.usefixtures("small_steps")
def test_a_repair_whose_message_went_with_a_gap_goes_on_at_the_next_start() -> None:
    driven = DrivenEngine()
    for number in range(10):
        driven.show(f"email:{number}", f"account:{number}", grade=2)
    policy = _with(DEFAULT_POLICY, "email", strength=Strength.MEDIUM)
    driven.take(_change(policy))
    said = driven.checkpoint()
    assert [o.topic for o in said] == [Topic.EVIDENCE]
    driven.engine.apply(said[0].value or b"", driven.offset)
    # What was said then is lost, and so is what asks for the next step.
    driven.checkpoint()
    begun = _REPAIRS.decode(_row(driven, REPAIR_ROW_KEY))
    assert 0 < begun.looked_at < 20
    driven.restart()
    driven.repair()
    assert driven.rows.get(REPAIR_ROW_KEY) is None
    assert {place.state for place in driven.placements().values()} == {"home", "attached"}


class _Placing:
    """Stands in for what places again; every batch moves as many."""

    def __init__(self, moves: int) -> None:
        self.moves = moves
        self.batches: list[int] = []

    def __call__(self, again: Again) -> int:
        self.batches.append(len(again.fragments))
        return self.moves


def _fragments(count: int) -> MemoryRows:
    return MemoryRows({link_row_key(f"{number:032x}"): b"" for number in range(count)})


def _mark_nothing(_fragment: str) -> None:
    """Nothing is unlinkable."""


def test_a_step_looks_at_a_bounded_number_of_fragments_and_all_steps_at_all() -> None:
    runs, placing = RepairRuns(_fragments(1_200)), _Placing(0)
    message = runs.begin_policy("p1", 0, marks=False)
    while message is not None:
        before = len(placing.batches)
        own, message = runs.step(message, mark=_mark_nothing, place_again=placing)
        assert own
        assert 0 < sum(placing.batches[before:]) <= repair.FRAGMENTS_PER_STEP
    assert sum(placing.batches) == 1_200


def test_a_step_ends_once_it_has_moved_enough() -> None:
    runs, placing = RepairRuns(_fragments(500)), _Placing(repair.MOVES_PER_STEP)
    message = runs.begin_policy("p1", 0, marks=False)
    assert message is not None
    own, following = runs.step(message, mark=_mark_nothing, place_again=placing)
    assert own
    assert following is not None
    assert placing.batches == [repair.FRAGMENTS_PER_BATCH]
    assert runs.row is not None
    assert (runs.row.looked_at, runs.row.moved) == (repair.FRAGMENTS_PER_BATCH, repair.MOVES_PER_STEP)


def _state(runs: RepairRuns) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    assert runs.row is not None
    return runs.row.run, runs.row.source, runs.row.waiting


def test_runs_of_sources_wait_and_one_of_a_policy_takes_the_place_of_all() -> None:
    runs = RepairRuns(_fragments(5_000))
    first = runs.begin_source("s1", "shop", 1)
    assert first is not None
    assert runs.begin_source("s2", "web", 2) is None
    assert runs.begin_source("s3", "web", 3) is None
    assert _state(runs) == ("s1", "shop", (("s2", "web"),))
    for number in range(repair.WAITING_RUNS_MAX):
        runs.begin_source(f"t{number}", f"source {number}", 4)
    assert _state(runs) == ("s1", "shop", ((f"t{repair.WAITING_RUNS_MAX - 1}", ""),))
    assert runs.begin_policy("p1", 5, marks=False) is not None
    assert _state(runs) == ("p1", "", ())
    assert runs.step(first, mark=_mark_nothing, place_again=_Placing(0)) == (False, None)


def test_a_run_that_waited_begins_when_the_one_before_it_ends() -> None:
    runs = RepairRuns(_fragments(3))
    message = runs.begin_source("s1", "shop", 1)
    runs.begin_source("s2", "web", 2)
    ran = []
    while message is not None:
        ran.append(message.run)
        _, message = runs.step(message, mark=_mark_nothing, place_again=_Placing(0))
    assert ran == ["s1", "s2"]


def test_a_policy_under_which_events_would_go_elsewhere_is_refused() -> None:
    driven = DrivenEngine()
    driven.show("email:a", "account:b", grade=2)
    before = driven.placements()
    driven.take(_change(msgspec.structs.replace(DEFAULT_POLICY, phone_region="NL")))
    [letter] = driven.checkpoint()
    assert letter.topic == Topic.DEAD
    assert b"phone_region: NL, not empty" in dict(letter.headers)[DeadHeader.MESSAGE]
    assert driven.placements() == before
    assert _POLICIES.decode(_row(driven, POLICY_ROW_KEY)).change == ""


def test_the_policy_of_the_first_start_is_kept_whatever_later_ones_are_given() -> None:
    driven = DrivenEngine()
    driven.checkpoint()
    assert _POLICIES.decode(_row(driven, POLICY_ROW_KEY)).policy == encode_policy(DEFAULT_POLICY)
    driven.policy = _with(DEFAULT_POLICY, "email", strength=Strength.MEDIUM)
    driven.restart()
    driven.show("email:a", "account:b", grade=2)
    assert driven.placements()[fragment("email:a")].state == "joined"


def test_a_policy_change_that_comes_twice_says_nothing_the_second_time() -> None:
    driven = DrivenEngine()
    driven.show("email:a", "account:b", grade=2)
    change = _change(_with(DEFAULT_POLICY, "email", shared_from=3))
    driven.take(change)
    driven.repair()
    rows = dict(driven.rows.rows)
    driven.take(change)
    assert driven.checkpoint() == []
    assert driven.rows.rows == rows


def test_rows_of_a_version_without_a_policy_row_come_to_obey_what_is_unlinkable() -> None:
    driven = DrivenEngine()
    driven.show("email:info@shop", "account:b", grade=2)
    del driven.rows.rows[POLICY_ROW_KEY]
    driven.policy = msgspec.structs.replace(DEFAULT_POLICY, unlinkable=("email:info@shop",))
    driven.restart()
    driven.repair()
    assert driven.placements()[fragment("email:info@shop")].state == "home"
    assert driven.placements()[fragment("account:b")].owner == fragment("account:b")
