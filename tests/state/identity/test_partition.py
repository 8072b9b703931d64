"""The whole partition: against an independent reading of the rules, and the same for every order of arrival."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identity_policy import Policy
from schemas.roles import SHARED
from state.identity.partition import partition
from state.identity.placement import Placement
from tests.state.identity.model import Model
from tests.state.identity.populations import CLUSTER_LIMIT, Population, low_policy, random_population

#: Without a limit for claims alone, and with one.
POLICIES = (low_policy(), low_policy(claimed_from=1))


def _as_model(population: Population, policy: Policy) -> None:
    result = population.whole(population.events, population.orders, policy, CLUSTER_LIMIT)
    evidence = [item for event in population.events for item in event]
    named = {name: population.identifiers[name] for name in result.placements}
    model = Model(named, evidence, population.orders, policy, CLUSTER_LIMIT)
    assert {name for name, place in result.placements.items() if place.state == SHARED} == model.shared
    customers = {frozenset(members) for members in result.customers().values()}
    assert customers == {frozenset(members) for members in model.customer_of.values()}


@pytest.mark.parametrize("ordered", [False, True], ids=["evidence", "orders"])
def test_the_partition_is_what_an_independent_reading_gives(ordered: bool) -> None:
    for seed in range(30_000, 31_500):
        try:
            _as_model(random_population(seed, ordered=ordered), POLICIES[seed % 2])
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32), ordered=st.booleans(), shuffle=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_customers(seed: int, ordered: bool, shuffle: random.Random) -> None:
    population, policy = random_population(seed, ordered=ordered), POLICIES[seed % 2]
    events, orders = population.events[:], population.orders[:]
    shuffle.shuffle(events)
    shuffle.shuffle(orders)
    shuffled = [shuffle.sample(event, len(event)) for event in events]
    one = population.whole(population.events, population.orders, policy, CLUSTER_LIMIT)
    other = population.whole(shuffled, orders, policy, CLUSTER_LIMIT)
    # Which member is the home depends on which was formed first, and nothing else does.
    assert sorted(one.customers().values()) == sorted(other.customers().values())
    assert _shared(one.placements) == _shared(other.placements)
    formed = population.formed(population.events)
    evidence = [item for event in shuffled for item in event]
    named = {name: population.identifiers[name] for name in other.placements}
    again = partition(named, formed, evidence, orders, policy)
    assert again.placements == one.placements


def _shared(placements: dict[str, Placement]) -> dict[str, int]:
    return {name: place.grade for name, place in placements.items() if place.state == SHARED}
