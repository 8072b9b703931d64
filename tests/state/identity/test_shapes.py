"""What is decided by a customer's shape, and at once, is what recomputing gives: to the byte, and for those who watch.

Goal: no customer may be decided otherwise because it is small, or new. Method: the same logs through two engines, one
of which always recomputes; small sets of evidence, dense ones and sparse ones, and the laws' sequences with orders.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

import msgspec
import pytest

from schemas.identifiers import Identifier
from schemas.identity_changes import Cause, IdentityChange
from schemas.identity_policy import DEFAULT_POLICY, Grade, Policy
from schemas.messages import Evidence, PolicyChange
from schemas.policy_parts import encode_policy
from schemas.topics import Topic
from state.engine import Output
from state.identity import repair
from state.identity.cache_bounds import CacheBounds
from state.identity.changes import Transition
from state.identity.deciding import Deciding
from state.identity.engine import IdentityEngine
from state.identity.shapes import Shapes
from state.identity.strangers import Strangers
from tests.state.identity.driving import KEYRING, DrivenEngine, check_messages, evidence
from tests.state.identity.laws.running import TINY, play
from tests.state.identity.laws.sequences import Maker
from tests.state.identity.populations import KINDS, low_policy

SEEDS = 120
POLICIES = (
    DEFAULT_POLICY,
    low_policy(),
    low_policy(claimed_from=1),
    msgspec.structs.replace(low_policy(), unlinkable=("0-*",)),
)
MONTH_US = 31 * 86_400_000_000


class Watched(DrivenEngine):
    """An engine with everything that a guard was told."""

    def restart(self) -> None:
        """Begin anew, with the same list."""
        self.told: list[object] = getattr(self, "told", [])
        self.engine = IdentityEngine(self.rows, KEYRING.unseal, self.policy, bounds=self.bounds, watch=self._note)

    def _note(
        self,
        cause: Cause,
        transitions: Iterable[Transition],
        changes: Iterable[IdentityChange],
        clusters: Mapping[str, int],
    ) -> None:
        self.told.append((cause, tuple(transitions), tuple(changes), dict(clusters)))


@contextmanager
def _recomputing() -> Iterator[None]:
    """Every way but the general one is closed."""
    with (
        patch.object(Shapes, "decide", return_value=None),
        patch.object(Strangers, "see", return_value=False),
        patch.object(Deciding, "stands", return_value=False),
    ):
        yield


@contextmanager
def _counted(counts: Counter[str]) -> Iterator[None]:
    """Every way is counted when it is taken."""

    def counting(way: type, name: str) -> AbstractContextManager[object]:
        method = getattr(way, name)

        def counted(*arguments: object) -> object:
            taken = method(*arguments)
            counts[name if taken else "general"] += 1
            return taken

        return patch.object(way, name, counted)

    with counting(Shapes, "decide"), counting(Strangers, "see"), counting(Deciding, "stands"):
        yield


def _log(seed: int) -> Iterator[Evidence]:
    """Some people of a few identifiers each, and now and then two of them shown together."""
    dice = random.Random(f"shapes/{seed}")
    count = dice.choice((2, 8, 40))
    # Where there are many, shapes come again.
    kinds = dice.sample(KINDS, 2 if count == 40 else dice.randint(2, 5))
    people = [
        [Identifier(dice.choice(kinds), f"{person}-{place}") for place in range(dice.randint(2, 5))]
        for person in range(count)
    ]
    strangers = dice.choice((0.0, 0.05, 0.3))
    for number in range(dice.randint(3, 10) + 2 * count):
        known = dice.choice(people)
        if dice.random() < strangers:
            known = known + dice.choice(people)
        shown = dice.sample(known, min(len(known), dice.choice((2, 2, 2, 3, 4))))
        grade = dice.choice(tuple(Grade))
        time = dice.choice((number, 0, dice.randrange(5) * MONTH_US))
        yield evidence(dict.fromkeys(shown), source=dice.choice("ab"), name=f"e{number}", time=time, grade=grade)


def _driven(messages: Sequence[Evidence], policy: Policy, bounds: CacheBounds | None, seed: int) -> Watched:
    dice = random.Random(seed)
    driven = Watched(policy, bounds=bounds)
    for message in messages:
        driven.take(message)
        if dice.random() < 0.3:
            driven.checkpoint()
        if dice.random() < 0.1:
            driven.checkpoint()
            driven.restart()
    driven.checkpoint()
    return driven


@pytest.mark.parametrize("bounds", [None, TINY], ids=["cached", "from rows"])
def test_evidence_comes_to_the_same_rows_outputs_and_decisions(bounds: CacheBounds | None) -> None:
    taken: Counter[str] = Counter()
    for seed in range(SEEDS):
        policy, messages = POLICIES[seed % len(POLICIES)], list(_log(seed))
        with _counted(taken):
            driven = _driven(messages, policy, bounds, seed)
        with _recomputing():
            recomputed = _driven(messages, policy, bounds, seed)
        assert driven.outputs == recomputed.outputs, f"seed {seed}"
        assert driven.rows.rows == recomputed.rows.rows, f"seed {seed}"
        assert driven.told == recomputed.told, f"seed {seed}"
        check_messages(driven)
    assert min(taken[way] for way in ("decide", "see", "stands", "general")) > SEEDS // 8, taken


def _repaired(messages: Sequence[Evidence], seed: int) -> Watched:
    """Another policy comes in the middle, and what it changes is decided again between what comes then."""
    dice = random.Random(seed)
    driven = Watched(POLICIES[1 + seed % 2])
    middle = len(messages) // 2
    driven.take(*messages[:middle])
    driven.take(PolicyChange("p1", 0, encode_policy(POLICIES[2 - seed % 2]), "ann", "a test"))
    for message in messages[middle:]:
        if dice.random() < 0.5:
            driven.repair(steps_max=1)
        # The same again, as another source has it: pairs that are known.
        driven.take(message, msgspec.structs.replace(message, source="c"))
    driven.repair()
    return driven


def test_evidence_that_comes_while_a_repair_runs_comes_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "FRAGMENTS_PER_STEP", 1)
    monkeypatch.setattr(repair, "FRAGMENTS_PER_BATCH", 1)
    for seed in range(SEEDS):
        messages = list(_log(seed))
        driven = _repaired(messages, seed)
        with _recomputing():
            recomputed = _repaired(messages, seed)
        assert driven.outputs == recomputed.outputs, f"seed {seed}"
        assert driven.rows.rows == recomputed.rows.rows, f"seed {seed}"
        assert driven.told == recomputed.told, f"seed {seed}"


def test_orders_splits_and_repairs_among_it_change_nothing_of_that() -> None:
    for seed in range(2 * SEEDS):
        sequence = Maker(seed, strengths=seed % 3 == 0).sequence()
        bounds = TINY if seed % 2 else None
        run = play(sequence, random.Random(seed), bounds=bounds)
        with _recomputing():
            recomputed = play(sequence, random.Random(seed), bounds=bounds)
        assert run.log == recomputed.log, f"seed {seed}"
        assert run.rows.rows == recomputed.rows.rows, f"seed {seed}"
        assert run.changes == recomputed.changes, f"seed {seed}"
        assert run.contexts == recomputed.contexts, f"seed {seed}"


def test_a_tie_between_two_of_a_kind_goes_by_plain_value_in_every_shape_that_is_remembered() -> None:
    driven = DrivenEngine()
    for number in range(20):
        values = [f"{number}-{digit}" for digit in random.Random(number).sample("abcdefgh", 2)]
        outputs: list[Output] = driven.show(*(f"cookie:{value}" for value in values))
        assert {output.topic for output in outputs} == {Topic.ROUTED, Topic.IDENTITY_CHANGES}
        home = KEYRING.fragment_id(Identifier("cookie", min(values)))
        assert {row.owner for row in map(driven.row, map(_cookie, values))} == {home}


def _cookie(value: str) -> str:
    return KEYRING.fragment_id(Identifier("cookie", value))
