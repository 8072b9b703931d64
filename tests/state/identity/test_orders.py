"""Orders: the engine comes to what the whole comes to, and what is undone or kept apart leaves no trace."""

import random

import pytest

from state.identity.evidence import UNFORMED
from state.identity.link_rows import CacheBounds
from tests.state.identity.driving import DrivenEngine
from tests.state.identity.ordered_logs import Message, known_of, random_log
from tests.state.identity.populations import low_policy

#: Without a limit for claims alone, and with one.
POLICIES = (low_policy(), low_policy(claimed_from=1))
# So small that nearly everything is read back from rows.
TINY = CacheBounds(placements_max=2, identifiers_max=2, neighbourhoods_max=2, neighbours_max=2, orders_max=2)


def _verify(driven: DrivenEngine, log: list[tuple[int, Message]]) -> None:
    known = known_of(log)
    assert driven.placements() == known.partition(driven.policy).placements
    for fragment in known.identifiers:
        row = driven.row(fragment)
        assert row.formed == known.formed.get(fragment, UNFORMED)
        assert row.former == (fragment in known.former)


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


@pytest.mark.parametrize("bounds", [None, TINY], ids=["cached", "from rows"])
def test_orders_in_any_order_of_arrival_give_the_same_as_the_whole(bounds: CacheBounds | None) -> None:
    for seed in range(40_000, 40_200):
        try:
            _check(seed, bounds, sources=seed % 2 == 0)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
