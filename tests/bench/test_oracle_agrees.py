"""The oracle against the program's own cleaning, identity, fold and join, over whole generated runs."""

import random
from typing import Any

import pytest

from bench.compare import document_differences
from bench.generator import Plan, generate, load_sources
from bench.oracle import Expectation, expect
from tests.bench.pipeline import Outcome, Pipeline


def differences(expectation: Expectation, outcome: Outcome) -> list[str]:
    found = []
    if {f"{one.kind}:{one.value}" for one in expectation.shared} != outcome.shared:
        found.append(f"shared: {outcome.shared ^ {f'{one.kind}:{one.value}' for one in expectation.shared}}")
    homes = {home: expected for customer in expectation.customers for home, expected in customer.homes.items()}
    with_events = {home: customer for home, customer in outcome.customers.items() if customer.document}
    if len(with_events) != sum(bool(customer.homes) for customer in expectation.customers):
        found.append(f"{len(with_events)} customers")
    for home, customer in with_events.items():
        if home not in homes:
            found.append(f"{home} is no home that is expected")
            continue
        assert customer.document is not None
        if customer.grades != homes[home].grades:
            found.append(f"{home}: grades {customer.grades}, expected {homes[home].grades}")
        found += [f"{home}: {line}" for line in document_differences(homes[home].document, customer.document)]
    return found


def shuffled(events: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    other = list(events)
    random.Random(seed).shuffle(other)
    return other


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_oracle_agrees_with_the_rules_on_every_customer_and_field(seed: int) -> None:
    events = list(generate(Plan(customers=150, events=4_000, seed=seed, events_per_second=4_000 / (60 * 86_400))))
    assert differences(expect(events, load_sources()), Pipeline().play(events)) == []


def test_they_agree_in_any_order_of_arrival() -> None:
    events = list(generate(Plan(customers=60, events=1_500, seed=4)))
    expectation = expect(events, load_sources())
    assert expectation == expect(shuffled(events, 1), load_sources())
    assert differences(expectation, Pipeline().play(shuffled(events, 2))) == []


def test_a_missing_event_is_noticed() -> None:
    events = list(generate(Plan(customers=20, events=300, seed=5, duplicate_share=0)))
    assert differences(expect(events, load_sources()), Pipeline().play(events[:-1])) != []
