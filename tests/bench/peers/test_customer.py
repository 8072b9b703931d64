"""The fold that the peers in Python share, against the job's reference."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.job.check import comparable
from bench.job.events import Plan, event
from bench.job.forms import job_fields
from bench.job.reference import canonical, expect, interaction_digest
from bench.peers.customer import Customer, decode_customer, decode_event, encode_customer

CUSTOMER = "00112233445566778899aabbccddeeff"


def folded(events: list[dict[str, Any]]) -> tuple[Customer, list[bytes]]:
    """The customer after these events, stored and read again between each two, and the interactions."""
    state, interactions = encode_customer(Customer()), []
    for fields in events:
        customer = decode_customer(state)
        interaction = customer.fold(decode_event(msgspec.json.encode(fields)), CUSTOMER)
        if interaction is not None:
            interactions.append(interaction)
            state = encode_customer(customer)
    return decode_customer(state), interactions


def arriving(seed: int, count: int) -> list[dict[str, Any]]:
    plan = Plan(events=count, customers=1, seed=seed)
    return [job_fields(event(plan, number)) for number in range(count)]


@given(seed=st.integers(0, 1_000), count=st.integers(1, 40), data=st.data())
def test_events_in_any_order_with_copies_give_what_the_reference_says(
    seed: int, count: int, data: st.DataObject
) -> None:
    events = arriving(seed, count)
    copies = data.draw(st.lists(st.sampled_from(events), max_size=10))
    customer, interactions = folded(data.draw(st.permutations([*events, *copies])))
    expected = expect((CUSTOMER, fields) for fields in events)
    document = msgspec.json.decode(customer.document(CUSTOMER))
    assert canonical(comparable(document)) == expected.documents[CUSTOMER]
    read = [msgspec.json.decode(each) for each in interactions]
    assert all(each["customer"] == CUSTOMER for each in read)
    assert sorted(map(interaction_digest, read)) == sorted(digest for digest, _ in expected.interactions.values())


def test_equal_times_are_told_apart_by_source_and_id_and_fractions_by_their_digits() -> None:
    def told(name: str, time: str) -> dict[str, Any]:
        told_by = {"source": "desk", "type": "call.ended", "channel": "voice", "direction": "in", "data": {}}
        return {"id": name, "time": time, "summary": name, "traits": {"city": name}, **told_by}

    whole, later = "2025-01-06T10:00:00Z", "2025-01-06T10:00:00.500Z"
    for newest, events in (
        ("b", [told("b", whole), told("a", whole)]),
        ("a", [told("a", later), told("b", whole)]),
        ("a", [told("b", whole), told("a", later)]),
    ):
        customer, _ = folded(events)
        document = msgspec.json.decode(customer.document(CUSTOMER))
        assert document["traits"]["city"]["value"] == newest
        assert document["last"]["in"]["summary"] == newest
        assert document["interactions"]["recent"][0]["id"] == newest


def test_a_hash_that_lies_across_two_others_is_no_copy() -> None:
    first = arriving(1, 1)[0]
    name = folded([first])[0].seen
    across = Customer(seen=b"\0" + name + b"\0" * 7)
    assert across.fold(decode_event(msgspec.json.encode(first)), CUSTOMER) is not None
    assert across.fold(decode_event(msgspec.json.encode(first)), CUSTOMER) is None


def test_there_is_no_document_before_the_first_event() -> None:
    with pytest.raises(ValueError, match="has no event yet"):
        Customer().document(CUSTOMER)
