"""A rehearsal tells what a policy would do, why, and refuses what it can't tell."""

import random

import msgspec
import pytest

from schemas.errors import UsageError
from schemas.identity_policy import DEFAULT_POLICY, Policy, Strength
from schemas.messages import PolicyChange
from schemas.policy_parts import encode_policy
from state.identity.explaining.results import Reason, Verdict
from state.identity.overlay import SortedRows
from state.identity.rehearsal import Rehearsal, Rehearsed
from tests.state.identity.driving import KEYRING, DrivenEngine, fragment
from tests.state.identity.ordered_logs import random_log
from tests.state.identity.populations import low_policy
from tests.state.identity.test_repair import other_policy


def _rehearsed(driven: DrivenEngine, policy: Policy, samples: int = 5) -> Rehearsed:
    rehearsal = Rehearsal(driven.rows, SortedRows(), KEYRING.unseal, driven.policy)
    return rehearsal.run(PolicyChange("p1", 0, encode_policy(policy), "ann", "a test"), samples=samples)


def _with(kind: str, **changed: object) -> Policy:
    kinds = [msgspec.structs.replace(each, **changed) if each.name == kind else each for each in DEFAULT_POLICY.kinds]
    return msgspec.structs.replace(DEFAULT_POLICY, kinds=tuple(kinds))


def test_the_chain_that_breaks_is_told_as_it_held_and_with_what_stands_against_it() -> None:
    driven = DrivenEngine()
    driven.show("account:a", "email:x", grade=2)
    driven.show("account:b", "email:x", grade=2)
    rehearsed = _rehearsed(driven, _with("email", shared_from=1))
    assert rehearsed.differences == ("kinds.email.shared_from: 1, not 20",)
    assert rehearsed.identifiers == 3
    assert (rehearsed.counts.merges_lost, rehearsed.counts.merges_gained, rehearsed.counts.shared_gained) == (2, 0, 1)
    lost = {sample.fragment: sample for sample in rehearsed.lost}
    assert set(lost) == {fragment("account:b"), fragment("email:x")}
    sample = lost[fragment("account:b")]
    assert sample.home == fragment("account:a")
    assert sample.before.verdict is Verdict.ONE
    assert [step.other for step in sample.before.steps] == [fragment("email:x"), fragment("account:a")]
    assert sample.after.verdict is Verdict.APART
    assert [step.obstacle.reason for step in sample.after.steps if step.obstacle] == [Reason.SHARED, Reason.SHARED]
    assert [each.members for each in rehearsed.largest_before] == [3]
    assert rehearsed.largest_after == ()


def test_a_merge_that_comes_is_told_with_the_chain_that_makes_it() -> None:
    driven = DrivenEngine(_with("email", shared_from=1))
    driven.show("account:a", "email:x", grade=2)
    driven.show("account:b", "email:x", grade=2)
    rehearsed = _rehearsed(driven, DEFAULT_POLICY)
    assert (rehearsed.counts.merges_gained, rehearsed.counts.merges_lost) == (2, 0)
    sample = next(each for each in rehearsed.gained if each.fragment == fragment("account:b"))
    assert (sample.before.verdict, sample.after.verdict) == (Verdict.APART, Verdict.ONE)


def test_what_becomes_unlinkable_is_told_to_be_split_off() -> None:
    driven = DrivenEngine()
    driven.show("account:a", "email:info@shop", grade=2)
    rehearsed = _rehearsed(driven, msgspec.structs.replace(DEFAULT_POLICY, unlinkable=("email:info@*",)))
    [sample] = rehearsed.lost
    [step] = sample.after.steps
    assert step.obstacle is not None
    assert step.obstacle.reason is Reason.SPLIT


def test_what_would_route_otherwise_is_refused() -> None:
    driven = DrivenEngine()
    driven.show("account:a", "email:x", grade=2)
    with pytest.raises(UsageError, match=r"phone_region: NL, not empty.*docs/policy\.md"):
        _rehearsed(driven, msgspec.structs.replace(DEFAULT_POLICY, phone_region="NL"))


def test_it_is_the_policy_in_force_that_is_compared_and_not_the_one_that_is_given() -> None:
    driven = DrivenEngine(_with("email", strength=Strength.MEDIUM))
    driven.show("account:a", "email:x", grade=2)
    driven.policy = DEFAULT_POLICY
    assert _rehearsed(driven, DEFAULT_POLICY).counts.moved == 1


def test_predicted_counts_are_those_of_what_happens_on_random_populations() -> None:
    for seed in range(60_000, 60_012):
        chance = random.Random(seed)
        driven = DrivenEngine(low_policy())
        for message in random_log(seed):
            driven.take(message)
            driven.repair()
        policy = other_policy(chance, low_policy())
        before = driven.placements()
        rehearsed = _rehearsed(driven, policy)
        driven.take(PolicyChange("p1", 0, encode_policy(policy), "ann", "a test"))
        driven.repair()
        after = driven.placements()
        moved = [f for f in after if (before[f].owner, before[f].state) != (after[f].owner, after[f].state)]
        ways = {(before[name].owner, after[name].owner) for name in after}
        assert rehearsed.counts.moved == len(moved)
        assert rehearsed.counts.merges_lost == len(ways) - len({way[0] for way in ways})
        assert rehearsed.counts.merges_gained == len(ways) - len({way[1] for way in ways})
        assert {each.fragment for each in (*rehearsed.gained, *rehearsed.lost)} <= set(moved)
