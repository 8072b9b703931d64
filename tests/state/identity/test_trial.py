"""What a trial predicts is what happens, and its counts are those of customers.

Method: random logs and then one message more, tried first and taken in afterwards, with all steps of its repair.
"""

import random
from collections import defaultdict

import msgspec
import pytest

from schemas.identity_policy import DEFAULT_POLICY
from schemas.messages import IdentityMessage, PolicyChange, Undo, encode
from schemas.orders import Verb
from schemas.policy_parts import encode_policy
from schemas.roles import SHARED
from state.engine import MemoryRows
from state.identity import trial
from state.identity.moves import MoveCounts
from state.identity.overlay import OverlayRows, SortedRows
from state.identity.placement import Placement
from state.identity.trial import Trial
from tests.state.identity.driving import KEYRING, DrivenEngine, changes, fragment, identifier
from tests.state.identity.ordered_logs import order, random_log
from tests.state.identity.populations import low_policy
from tests.state.identity.test_repair import other_policy


def _counts(before: dict[str, Placement], after: dict[str, Placement]) -> MoveCounts:
    """By the sets of all customers."""
    seats = {
        name: [(each[name].owner, each[name].state) if name in each else (name, "home") for each in (before, after)]
        for name in after
    }
    moved = {name for name, (one, other) in seats.items() if one != other}
    splits, joins = defaultdict(set), defaultdict(set)
    for (one, _), (other, _) in seats.values():
        splits[one].add(other)
        joins[other].add(one)
    shared = [[seat[1] == SHARED for seat in seats[name]] for name in moved]
    return MoveCounts(
        moved=len(moved),
        merges_gained=sum(len(each) - 1 for each in joins.values()),
        merges_lost=sum(len(each) - 1 for each in splits.values()),
        customers_touched=len({owner for name in moved for owner, state in seats[name] if state != SHARED}),
        shared_gained=shared.count([False, True]),
        shared_lost=shared.count([True, False]),
    )


def _check(seed: int) -> MoveCounts:
    chance = random.Random(seed)
    driven = DrivenEngine(low_policy())
    log = random_log(seed)
    last: IdentityMessage = log.pop()
    for message in log:
        driven.take(message)
        driven.repair()
    if chance.random() < 0.5:
        last = PolicyChange("p1", 0, encode_policy(other_policy(chance, low_policy())), "ann", "a test")
    before, rows = driven.placements(), dict(driven.rows.rows)
    attempt = Trial(driven.rows, KEYRING.unseal, driven.policy)
    outcome = attempt.run([encode(last)], offset=driven.offset)
    assert driven.rows.rows == rows
    outputs = len(driven.outputs)
    driven.take(last)
    driven.repair()
    after = driven.placements()
    assert dict(attempt.rows.scan(b"")) == driven.rows.rows
    assert list(outcome.decisions) == changes(driven.outputs[outputs:])
    assert outcome.counts == _counts(before, after)
    assert outcome.complete
    assert not outcome.refused
    assert {move.fragment: (move.after.owner, move.after.state) for move in outcome.moves} == {
        name: (place.owner, place.state)
        for name, place in after.items()
        if (place.owner, place.state)
        != ((before[name].owner, before[name].state) if name in before else (name, "home"))
    }
    return outcome.counts


def test_what_a_trial_predicts_is_what_happens() -> None:
    counts = [_check(seed) for seed in range(50_000, 50_300)]
    assert sum(each.merges_gained > 0 for each in counts) > 20
    assert sum(each.merges_lost > 0 for each in counts) > 20
    assert sum(each.shared_gained > 0 for each in counts) > 20


def test_a_home_that_moves_is_no_merge() -> None:
    driven = DrivenEngine()
    driven.show("cookie:c", "phone:+31")
    attempt = Trial(driven.rows, KEYRING.unseal, driven.policy)
    outcome = attempt.run([encode(order(Verb.REQUIRE, identifier("phone:+31"), identifier("email:new"), name="o1"))])
    assert (outcome.counts.merges_gained, outcome.counts.merges_lost) == (1, 0)


def test_a_message_that_identity_would_not_take_is_told() -> None:
    driven = DrivenEngine()
    driven.show("email:a", "account:b", grade=2)
    policy = msgspec.structs.replace(DEFAULT_POLICY, drop=())
    outcome = Trial(driven.rows, KEYRING.unseal, driven.policy).run(
        [encode(PolicyChange("p", 0, encode_policy(policy)))]
    )
    [refused] = outcome.refused
    assert "migration" in refused
    assert outcome.counts.moved == 0


def test_a_trial_leaves_a_repair_alone_that_was_under_way_and_says_when_its_own_would_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial, "STEPS_MAX", 2)
    driven = DrivenEngine()
    driven.show("email:a", "account:b", grade=2)
    driven.take(order(Verb.SPLIT, name="s1", withdrawn_source="web"))
    driven.checkpoint()
    forbid = order(Verb.FORBID, identifier("email:a"), identifier("account:b"), name="f1")
    outcome = Trial(driven.rows, KEYRING.unseal, driven.policy).run([encode(forbid)])
    assert outcome.complete
    assert [move.fragment for move in outcome.moves] == [fragment("email:a")]
    split = order(Verb.SPLIT, name="s2", withdrawn_source="shop")
    assert not Trial(driven.rows, KEYRING.unseal, driven.policy).run([encode(split)]).complete


def test_each_message_of_a_trial_is_decided_by_the_orders_of_its_own_moment() -> None:
    driven = DrivenEngine()
    for number in (1, 2):
        driven.show(f"crm:{number}", "account:a", grade=2)
    attempt = Trial(driven.rows, KEYRING.unseal, driven.policy)
    require = order(Verb.REQUIRE, identifier("crm:1"), identifier("crm:2"), name="o1")
    joined = attempt.run([encode(require)], offset=2)
    assert (joined.counts.merges_gained, joined.counts.shared_lost) == (2, 1)
    # As if it had never been given: the two values are at odds again.
    undone = attempt.run([encode(Undo("u1", 0, "o1"))], offset=3)
    assert undone.counts == MoveCounts(0, 0, 0, 0, 0, 0)


def test_an_undo_of_what_was_never_ordered_moves_nobody() -> None:
    driven = DrivenEngine()
    driven.show("email:a", "account:b", grade=2)
    outcome = Trial(driven.rows, KEYRING.unseal, driven.policy).run([encode(Undo("u1", 0, "o1"))])
    assert outcome.counts == MoveCounts(0, 0, 0, 0, 0, 0)


def test_rows_laid_over_others_cover_them_in_order() -> None:
    chance = random.Random(1)
    for _ in range(200):
        keys = [bytes((chance.choice(b"ab"), number)) for number in range(12)]
        below = {key: b"below" for key in keys if chance.random() < 0.5}
        overlay = OverlayRows(MemoryRows(below), SortedRows())
        expected = dict(below)
        for _ in range(3):
            written = {key: chance.choice((None, b"", b"above")) for key in chance.sample(keys, 4)}
            overlay.write(written)
            for key, value in written.items():
                expected.pop(key, None)
                if value is not None:
                    expected[key] = value
        start = chance.choice(keys)
        assert list(overlay.scan(b"")) == sorted(expected.items())
        assert list(overlay.scan(b"a", b"a" + start[1:])) == sorted(
            (key, value) for key, value in expected.items() if key[:1] == b"a" and key >= b"a" + start[1:]
        )
        assert all(overlay.get(key) == expected.get(key) for key in keys)
