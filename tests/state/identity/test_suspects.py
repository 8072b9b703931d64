"""Suspicious identifiers are found among ordinary customers, and said why; the largest customers are told."""

from collections.abc import Iterable

import msgspec
import pytest

from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.roles import ATTACHED, SHARED
from schemas.rows import PairOrderRow, SplitRow, encode_row, pair_order_key, split_identifier_key, split_source_key
from state.identity import suspects as module
from state.identity.clusters import largest_customers
from state.identity.suspects import Suspect, SuspectSort, suspects
from tests.state.identity.driving import KEYRING, DrivenEngine, fragment

ORDINARY = 300


def _find(engine: DrivenEngine, sort: SuspectSort = SuspectSort.CONFLICT, limit: int = 20) -> list[Suspect]:
    return suspects(engine.rows, KEYRING.unseal, DEFAULT_POLICY, sort=sort, limit=limit)


def _texts(found: Iterable[Suspect]) -> list[str]:
    return [f"{suspect.identifier.kind}:{suspect.identifier.value}" for suspect in found]


@pytest.fixture(scope="module")
def town() -> DrivenEngine:
    """Ordinary customers, and among them a kiosk, a recycled number and a crm id that means nobody."""
    engine = DrivenEngine()
    for number in range(ORDINARY):
        engine.show(f"crm:{number}", f"email:p{number}@example.com", f"phone:+3162{number:07}", grade=Grade.RECORD)
        engine.show(f"email:p{number}@example.com", f"cookie:c{number}")
        if number < 40:
            engine.show("cookie:kiosk", f"email:p{number}@example.com")
        if 100 <= number < 125:
            engine.show("crm:0000", f"email:p{number}@example.com", grade=Grade.RECORD)
    engine.show("crm:7", "phone:+31611111111", grade=Grade.RECORD)
    engine.show("crm:8", "phone:+31611111111", grade=Grade.RECORD, source="billing")
    return engine


def test_a_kiosk_fans_out_most_and_why_says_how_far(town: DrivenEngine) -> None:
    kiosk = _find(town, SuspectSort.FAN_OUT)[0]
    assert _texts([kiosk]) == ["cookie:kiosk"]
    assert (kiosk.state, kiosk.neighbours, kiosk.telling, kiosk.customers) == (SHARED, 40, 40, 40)
    assert kiosk.why == (
        "shared: nobody's, of 40 customers",
        "40 of 40 neighbours say who somebody is, past the limit of 6",
    )


def test_conflict_finds_the_kiosk_the_dummy_and_the_recycled_number_and_nobody_else(town: DrivenEngine) -> None:
    found = _find(town, limit=100)
    # Each e-mail of the dummy has two crm ids, so it is nobody's either, until the dummy is split off.
    others = [text for text in _texts(found) if not text.startswith("email:")]
    assert others == ["cookie:kiosk", "crm:0000", "phone:+31611111111"]
    assert sum(text.startswith("email:") for text in _texts(found)) == 25
    number = next(suspect for suspect in found if suspect.identifier.kind == "phone")
    assert (number.state, number.customers, number.conflicts) == (SHARED, 2, 3)
    assert number.first is not None
    assert number.last is not None
    assert number.first <= number.last + 30 * 86_400 * 10**6


def test_an_email_on_two_crm_ids_says_so(town: DrivenEngine) -> None:
    email = next(suspect for suspect in _find(town, limit=100) if suspect.identifier.kind == "email")
    assert email.unique_values == 2
    assert "linked to 2 values of a kind of which a customer has one" in email.why


def test_a_link_that_the_limit_vetoes_is_a_conflict() -> None:
    engine = DrivenEngine(msgspec.structs.replace(DEFAULT_POLICY, cluster_limit=4))
    for number in range(5):
        engine.show(f"account:{number}", f"account:{number + 1}", grade=Grade.LOGIN)
    found = _find(engine)
    assert sum(suspect.vetoed for suspect in found) == 2
    assert all("1 proven links joined nothing" in suspect.why for suspect in found)


def test_what_an_order_keeps_apart_is_a_conflict_and_what_is_split_off_is_none_any_more() -> None:
    engine = DrivenEngine()
    for number in range(3):
        engine.show("phone:+31611111111", f"email:p{number}@example.com", grade=Grade.LOGIN)
    phone, email = fragment("phone:+31611111111"), fragment("email:p0@example.com")
    order = PairOrderRow("forbid", 1, "operator", "o1", "email")
    engine.rows.write({pair_order_key(phone, email, 2, "o1"): encode_row(order)})
    (found,) = _find(engine)[:1]
    assert (found.fragment, found.forbidden) == (phone, 1)
    assert "orders keep 1 identifiers apart from it" in found.why
    engine.rows.write({split_identifier_key(phone, "o2"): encode_row(SplitRow(1))})
    assert phone not in {suspect.fragment for suspect in _find(engine)}


def test_evidence_of_a_withdrawn_source_makes_nobody_suspicious() -> None:
    engine = DrivenEngine()
    for number in range(3):
        engine.show("phone:+31611111111", f"email:p{number}@example.com", grade=Grade.LOGIN, source="https://a/b")
    assert _texts(_find(engine)) == ["phone:+31611111111"]
    engine.rows.write({split_source_key("https://a/b", "o1"): encode_row(SplitRow(1))})
    assert _find(engine) == []


def test_neighbours_past_the_bound_are_said_to_be_at_least_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEIGHBOURS_MAX", 10)
    engine = DrivenEngine()
    for number in range(30):
        engine.show("cookie:kiosk", f"email:p{number}@example.com")
    (found,) = _find(engine)
    assert found.neighbours == 10
    assert found.why[-1].startswith("at least 10 of 10 neighbours")


def test_a_customer_with_many_cookies_is_large_and_not_suspicious() -> None:
    engine = DrivenEngine()
    for number in range(30):
        engine.show("email:ann@example.com", f"cookie:{number}")
    engine.show("email:ann@example.com", "account:ann", grade=Grade.LOGIN)
    engine.show("email:bob@example.com", "cookie:bob")
    assert _find(engine, SuspectSort.FAN_OUT) == []
    first, second = largest_customers(engine.rows)
    assert first.customer == fragment("account:ann")
    assert (first.members, first.joined) == (32, 2)
    assert first.kinds == (("cookie", 30), ("account", 1), ("email", 1))
    assert second.members == 2
    assert largest_customers(engine.rows, limit=1) == [first]
    assert engine.row(fragment("cookie:bob")).state == ATTACHED
