"""Two attacks that identity has to stand, told to the real engine: a kiosk that hundreds use, and a forged form.

What a lookup may show follows from the placement: below the grade asked for, an identifier's own fragment alone.
"""

import pytest

from schemas.identity_policy import Grade
from schemas.roles import ATTACHED, HOME, JOINED, SHARED
from tests.state.identity.driving import DrivenEngine, fragment

VISITORS = 500
CLAIMED, LOGIN, RECORD = Grade.CLAIMED, Grade.LOGIN, Grade.RECORD


def customer_at(driven: DrivenEngine, text: str, grade: Grade) -> str | None:
    """The customer that a lookup by this identifier leads to at this least grade, other than the identifier itself."""
    place = driven.placements()[fragment(text)]
    if place.state == SHARED or place.owner == fragment(text) or place.grade < grade:
        return None
    return place.owner


def test_a_kiosks_cookie_leads_to_nobody_once_the_second_visitor_has_typed_an_address() -> None:
    driven = DrivenEngine()
    driven.show("cookie:kiosk", "email:0@example.com")
    assert customer_at(driven, "cookie:kiosk", CLAIMED) == fragment("email:0@example.com")
    assert customer_at(driven, "cookie:kiosk", LOGIN) is None
    for visitor in range(1, VISITORS):
        driven.show("cookie:kiosk", f"email:{visitor}@example.com")
        if visitor in (1, 2, 6, 7, 20, 21, 100, VISITORS - 1):
            assert driven.placements()[fragment("cookie:kiosk")].state == SHARED
            assert customer_at(driven, "cookie:kiosk", CLAIMED) is None
    placed = driven.placements()
    assert {placed[fragment(f"email:{visitor}@example.com")].state for visitor in range(VISITORS)} == {HOME}
    assert len({placed[fragment(f"email:{visitor}@example.com")].owner for visitor in range(VISITORS)}) == VISITORS


@pytest.mark.parametrize("visitors", [2, 7])
def test_one_login_at_a_kiosk_makes_it_nobodys_all_the_same_once_seven_have_typed(visitors: int) -> None:
    driven = DrivenEngine()
    driven.show("cookie:kiosk", "account:staff", grade=LOGIN)
    for visitor in range(visitors):
        driven.show("cookie:kiosk", f"email:{visitor}@example.com")
    # Up to the limit the login counts for more than claims: the staff's browser at which somebody typed.
    expected = fragment("account:staff") if visitors == 2 else None
    assert customer_at(driven, "cookie:kiosk", CLAIMED) == expected
    for visitor in range(visitors):
        assert driven.placements()[fragment(f"email:{visitor}@example.com")].state == HOME


def forged(driven: DrivenEngine) -> None:
    """A customer whom record and login know; a forger who types the address, and what hangs on his browser."""
    driven.show("crm:1", "email:ann@example.com", "phone:+31612345678", grade=RECORD, source="crm")
    driven.show("account:ann", "email:ann@example.com", "cookie:ann", grade=LOGIN)
    driven.show("cookie:forger", "email:ann@example.com")
    driven.show("cookie:forger", "cookie:forger-renewed")
    driven.show("device:forger", "cookie:forger-renewed")
    driven.show("device:forger", "email:ann@example.com")


CUSTOMER = ("crm:1", "email:ann@example.com", "phone:+31612345678", "account:ann", "cookie:ann")
FORGERS = ("cookie:forger", "cookie:forger-renewed", "device:forger")


def test_a_forged_form_joins_no_customers_and_shows_nothing_by_login_over_any_chain() -> None:
    driven = DrivenEngine()
    forged(driven)
    placed = driven.placements()
    assert {placed[fragment(text)].owner for text in CUSTOMER} == {fragment("crm:1")}
    assert [placed[fragment(text)].state for text in CUSTOMER] == [HOME, JOINED, ATTACHED, JOINED, ATTACHED]
    for text in FORGERS:
        assert placed[fragment(text)].state == ATTACHED
        assert placed[fragment(text)].grade == CLAIMED
        assert customer_at(driven, text, LOGIN) is None, text


def test_a_forger_who_logs_in_keeps_his_own_customer_and_the_victim_keeps_hers() -> None:
    driven = DrivenEngine()
    driven.show("cookie:forger", "account:mallory", grade=LOGIN)
    forged(driven)
    placed = driven.placements()
    assert placed[fragment("cookie:forger")].owner == fragment("account:mallory")
    assert {placed[fragment(text)].owner for text in CUSTOMER} == {fragment("crm:1")}
    for text in FORGERS:
        assert customer_at(driven, text, LOGIN) in (None, fragment("account:mallory")), text


def test_however_often_it_is_forged_the_victims_own_identifiers_stay_hers() -> None:
    driven = DrivenEngine()
    forged(driven)
    for turn in range(40):
        driven.show(f"cookie:f{turn}", "email:ann@example.com", f"phone:+3162000{turn:04d}", f"loyalty:{turn + 1}")
    placed = driven.placements()
    assert {placed[fragment(text)].owner for text in CUSTOMER} == {fragment("crm:1")}
    assert all(placed[fragment(text)].grade >= LOGIN for text in CUSTOMER)
    assert all(customer_at(driven, f"cookie:f{turn}", LOGIN) is None for turn in range(40))
