"""The stories that the rules were made for, each told to the whole partition and to the engine.

A story is a list of events: the grade, then `kind:value` texts that the event showed together.
"""

from dataclasses import dataclass

import pytest

from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from schemas.orders import Authority
from schemas.roles import ATTACHED, HOME, JOINED, SHARED
from state.identity.evidence import Order, Sighting
from state.identity.partition import partition
from state.identity.placement import Placement, Stage
from tests.state.identity.driving import DrivenEngine, fragment, identifier

CLAIMED, LOGIN, RECORD = 1, 2, 3


@dataclass
class Told:
    """What a story came to."""

    placements: dict[str, Placement]

    def place(self, text: str) -> Placement:
        """Where the identifier is."""
        return self.placements[fragment(text)]

    def customers(self) -> list[set[str]]:
        """The members' texts of each customer are not known here, their fragments are."""
        owners: dict[str, set[str]] = {}
        for name, place in self.placements.items():
            if place.state != SHARED:
                owners.setdefault(place.owner, set()).add(name)
        return list(owners.values())

    def customer(self, *texts: str) -> bool:
        """Whether these identifiers and no others are one customer, the first its home."""
        home = self.place(texts[0])
        members = {fragment(text) for text in texts}
        return home.state == HOME and home.owner == fragment(texts[0]) and members in self.customers()


def _whole(events: list[tuple[int, list[str]]], orders: list[Order]) -> Told:
    identifiers: dict[str, Identifier] = {}
    formed: dict[str, int] = {}
    sightings: list[Sighting] = []
    for offset, (grade, texts) in enumerate(events):
        names = [fragment(text) for text in texts]
        for text, name in zip(texts, names, strict=True):
            identifiers[name] = identifier(text)
            formed.setdefault(name, offset)
        sightings += [
            Sighting(one, other, "shop", grade, offset, f"e{offset}")
            for place, one in enumerate(names)
            for other in names[place + 1 :]
        ]
    return Told(partition(identifiers, formed, sightings, orders, DEFAULT_POLICY).placements)


def tell(*events: tuple[int, list[str]]) -> Told:
    """Tell a story to the engine, one checkpoint an event, and to the whole; both must come to the same."""
    driven = DrivenEngine()
    for grade, texts in events:
        driven.show(*texts, grade=grade)
    whole = _whole(list(events), [])
    assert driven.placements() == whole.placements
    return whole


def order(one: str, other: str, *, require: bool, authority: Authority = Authority.OPERATOR, time: int = 0) -> Order:
    """An order about two identifiers."""
    return Order(fragment(one), fragment(other), require, authority, time, "desk", "o")


def test_an_anonymous_cookie_then_a_typed_email_is_one_customer() -> None:
    told = tell((CLAIMED, ["cookie:c", "email:ann@example.com"]))
    assert told.customer("email:ann@example.com", "cookie:c")
    assert told.place("cookie:c").state == ATTACHED
    assert told.place("cookie:c").grade == CLAIMED


def test_a_login_with_cookie_and_account_and_the_email_from_the_crm_is_one_customer() -> None:
    told = tell((LOGIN, ["cookie:c", "account:a"]), (RECORD, ["account:a", "email:ann@example.com"]))
    assert told.customer("account:a", "email:ann@example.com", "cookie:c")
    assert told.place("email:ann@example.com") == Placement(JOINED, fragment("account:a"), RECORD, Stage.JOINING)
    assert told.place("cookie:c").grade == LOGIN


def test_a_kiosks_cookie_with_four_typed_emails_is_shared_by_four_customers() -> None:
    told = tell(*((CLAIMED, ["cookie:kiosk", f"email:{n}@example.com"]) for n in range(4)))
    assert told.place("cookie:kiosk").state == SHARED
    assert told.place("cookie:kiosk").owner == fragment("cookie:kiosk")
    assert set(told.place("cookie:kiosk").candidates) == {fragment(f"email:{n}@example.com") for n in range(4)}
    assert len(told.customers()) == 4


def test_a_kiosks_cookie_with_one_login_and_seven_typed_emails_is_shared_too() -> None:
    told = tell(
        (LOGIN, ["cookie:kiosk", "account:a"]),
        *((CLAIMED, ["cookie:kiosk", f"email:{n}@example.com"]) for n in range(7)),
    )
    assert told.place("cookie:kiosk").state == SHARED
    assert len(told.place("cookie:kiosk").candidates) == 5


def test_a_cookie_with_one_login_and_a_few_typed_emails_is_the_logins() -> None:
    told = tell(
        (LOGIN, ["cookie:c", "account:a"]),
        *((CLAIMED, ["cookie:c", f"email:{n}@example.com"]) for n in range(5)),
    )
    assert told.customer("account:a", "cookie:c")


def test_a_landline_of_two_crm_ids_is_shared() -> None:
    told = tell((RECORD, ["crm:1", "phone:+31201234567"]), (RECORD, ["crm:2", "phone:+31201234567"]))
    assert told.place("phone:+31201234567").state == SHARED
    assert told.customer("crm:1")
    assert told.customer("crm:2")


def test_a_number_of_a_crm_id_that_logs_in_later_as_another_account_is_shared_and_the_cookie_is_the_accounts() -> None:
    told = tell((RECORD, ["crm:1", "phone:+31612345678"]), (LOGIN, ["account:n", "phone:+31612345678", "cookie:c"]))
    assert told.place("phone:+31612345678").state == SHARED
    assert told.customer("account:n", "cookie:c")
    assert told.customer("crm:1")


def test_an_email_on_two_crm_ids_is_shared() -> None:
    told = tell((RECORD, ["crm:1", "email:family@example.com"]), (RECORD, ["crm:2", "email:family@example.com"]))
    assert told.place("email:family@example.com").state == SHARED
    assert len(told.customers()) == 2


def test_once_an_order_unites_two_crm_ids_their_email_is_in_one_customer_with_them() -> None:
    events = [(RECORD, ["crm:1", "email:family@example.com"]), (RECORD, ["crm:2", "email:family@example.com"])]
    told = _whole(events, [order("crm:1", "crm:2", require=True)])
    assert told.customer("crm:1", "crm:2", "email:family@example.com")


def test_a_renewed_cookie_goes_where_the_old_one_is() -> None:
    told = tell((LOGIN, ["account:a", "cookie:old"]), (CLAIMED, ["cookie:old", "cookie:new"]))
    assert told.customer("account:a", "cookie:old", "cookie:new")
    assert told.place("cookie:new").grade == CLAIMED
    assert told.place("cookie:old").grade == LOGIN


def test_a_phone_and_a_cookie_alone_are_one_customer() -> None:
    assert tell((CLAIMED, ["phone:+31612345678", "cookie:c"])).customer("phone:+31612345678", "cookie:c")


def test_a_forgers_cookie_with_a_customers_email_is_attached_by_a_claim_and_says_so() -> None:
    told = tell(
        (RECORD, ["crm:1", "email:ann@example.com"]),
        (CLAIMED, ["email:ann@example.com", "cookie:forger", "phone:+31600000000"]),
    )
    assert told.customer("crm:1", "email:ann@example.com", "cookie:forger", "phone:+31600000000")
    assert told.place("cookie:forger").state == ATTACHED
    assert told.place("cookie:forger").grade == CLAIMED


def test_the_grade_is_the_weakest_link_on_the_best_path_to_the_home() -> None:
    told = tell(
        (CLAIMED, ["crm:1", "email:ann@example.com"]),
        (LOGIN, ["email:ann@example.com", "cookie:c"]),
    )
    assert told.customer("crm:1", "email:ann@example.com", "cookie:c")
    assert told.place("cookie:c").grade == CLAIMED
    assert told.place("crm:1").grade == CLAIMED
    told = tell(
        (CLAIMED, ["crm:1", "email:ann@example.com"]),
        (LOGIN, ["email:ann@example.com", "cookie:c"]),
        (LOGIN, ["crm:1", "cookie:c"]),
    )
    assert told.place("cookie:c").grade == LOGIN
    assert told.place("email:ann@example.com").grade == CLAIMED
    assert told.place("crm:1").grade == LOGIN


def test_a_claim_never_joins_two_customers() -> None:
    told = tell(
        (RECORD, ["crm:1", "email:ann@example.com"]),
        (RECORD, ["crm:2", "email:bob@example.com"]),
        (CLAIMED, ["email:ann@example.com", "email:bob@example.com", "crm:1", "crm:2", "cookie:c"]),
    )
    assert told.customer("crm:1", "email:ann@example.com")
    assert told.customer("crm:2", "email:bob@example.com")
    assert told.place("cookie:c").state == SHARED


def test_an_email_known_by_claims_only_is_attached_and_shared_once_it_points_to_two() -> None:
    told = tell((CLAIMED, ["account:a", "email:ann@example.com"]))
    assert told.customer("account:a", "email:ann@example.com")
    assert told.place("email:ann@example.com").state == ATTACHED
    told = tell((CLAIMED, ["account:a", "email:ann@example.com"]), (CLAIMED, ["account:b", "email:ann@example.com"]))
    assert told.place("email:ann@example.com").state == SHARED


def test_crm_ids_of_two_systems_do_not_exclude_each_other() -> None:
    told = tell(
        (RECORD, ["crm@sales:1", "email:ann@example.com"]), (RECORD, ["crm@billing:9", "email:ann@example.com"])
    )
    assert told.customer("crm@sales:1", "crm@billing:9", "email:ann@example.com")


def test_a_second_value_of_a_unique_kind_is_vetoed_over_a_chain_and_the_better_link_wins() -> None:
    told = tell(
        (LOGIN, ["account:a", "email:ann@example.com"]),
        (LOGIN, ["account:a", "crm:1"]),
        (RECORD, ["email:ann@example.com", "crm:2"]),
    )
    assert told.customer("crm:2", "email:ann@example.com")
    assert told.customer("crm:1", "account:a")


@pytest.mark.parametrize(("emails", "state"), [(20, HOME), (21, SHARED)])
def test_an_account_is_shared_past_twenty_emails(emails: int, state: str) -> None:
    told = tell(*((LOGIN, ["account:a", f"email:{n}@example.com"]) for n in range(emails)))
    assert told.place("account:a").state == state
    assert len(told.customers()) == (1 if state == HOME else emails)


def test_two_crm_ids_that_a_claim_shows_together_stay_two_customers() -> None:
    told = tell((CLAIMED, ["crm:1", "crm:2"]))
    assert told.place("crm:1").state == told.place("crm:2").state == HOME
    assert len(told.customers()) == 2


def test_no_more_than_a_hundred_identifiers_are_joined() -> None:
    events = [(LOGIN, [f"account:{n}", f"account:{n + 1}"]) for n in range(110)]
    told = _whole(events, [])
    assert sorted(len(customer) for customer in told.customers()) == [11, 100]


def test_an_unknown_kind_attaches_like_a_medium_one_and_joins_nobody() -> None:
    told = tell(
        (LOGIN, ["account:a", "tablet:t"]), (LOGIN, ["account:b", "tablet:t"]), (CLAIMED, ["tablet:x", "cookie:c"])
    )
    assert told.place("tablet:t").state == SHARED
    assert told.customer("tablet:x", "cookie:c")


def test_the_home_is_the_strongest_kinds_first_formed_and_ties_go_to_the_plain_value() -> None:
    told = tell((LOGIN, ["email:b@example.com", "email:a@example.com", "cookie:c"]))
    assert told.customer("email:a@example.com", "email:b@example.com", "cookie:c")
    told = tell((LOGIN, ["email:b@example.com", "cookie:c"]), (LOGIN, ["email:b@example.com", "email:a@example.com"]))
    assert told.customer("email:b@example.com", "email:a@example.com", "cookie:c")
    told = tell((LOGIN, ["email:b@example.com", "cookie:c"]), (LOGIN, ["email:b@example.com", "account:z"]))
    assert told.customer("account:z", "email:b@example.com", "cookie:c")


def test_a_forbidden_pair_is_as_if_it_had_never_been_seen() -> None:
    events = [(RECORD, ["crm:1", "email:ann@example.com"]), (LOGIN, ["email:ann@example.com", "cookie:c"])]
    told = _whole(events, [order("crm:1", "email:ann@example.com", require=False)])
    assert told.customer("crm:1")
    assert told.customer("email:ann@example.com", "cookie:c")


def test_a_forbid_beats_a_chain_of_requires() -> None:
    events = [(CLAIMED, ["crm:1", "account:a"]), (CLAIMED, ["account:b", "email:x@example.com"])]
    orders = [
        order("crm:1", "account:a", require=True),
        order("account:a", "account:b", require=True),
        order("crm:1", "account:b", require=False),
    ]
    told = _whole(events, orders)
    assert told.place("account:b").owner != told.place("crm:1").owner


def test_a_forbid_stands_against_a_whole_customer() -> None:
    events = [(RECORD, ["crm:1", "email:ann@example.com"]), (CLAIMED, ["email:ann@example.com", "cookie:c"])]
    told = _whole(events, [order("crm:1", "cookie:c", require=False)])
    assert told.customer("cookie:c")


def test_an_operators_order_holds_against_a_newer_one_of_a_record() -> None:
    events = [(CLAIMED, ["crm:1", "cookie:x"]), (CLAIMED, ["crm:2", "cookie:y"])]
    split = order("crm:1", "crm:2", require=False, time=1)
    merge = order("crm:1", "crm:2", require=True, authority=Authority.RECORD, time=9)
    assert _whole(events, [split, merge]).customer("crm:1", "cookie:x")
    newer = order("crm:1", "crm:2", require=True, time=10)
    assert _whole(events, [newer, split, merge]).customer("crm:1", "crm:2", "cookie:x", "cookie:y")


def test_an_order_says_whose_a_shared_cookie_is() -> None:
    events = [(CLAIMED, ["cookie:c", f"email:{n}@example.com"]) for n in range(8)]
    told = _whole(events, [order("cookie:c", "email:3@example.com", require=True)])
    assert told.customer("email:3@example.com", "cookie:c")


def test_a_number_that_cashiers_type_for_whoever_has_none_is_shared() -> None:
    sales = [(CLAIMED, ["crm:99999", f"loyalty:{number}"]) for number in range(21)]
    told = tell(*sales[:20])
    assert told.customer("crm:99999", *(f"loyalty:{number}" for number in range(20)))
    told = tell(*sales)
    assert told.place("crm:99999").state == SHARED
    assert len(told.customers()) == 21
    # Devices say nothing of the kind, and one proven link is worth more than all claims.
    assert tell(*((CLAIMED, ["crm:1", f"cookie:{number}"]) for number in range(21))).place("crm:1").state == HOME
    assert tell(*sales, (LOGIN, ["crm:99999", "email:ann@example.com"])).place("crm:99999").state == HOME
