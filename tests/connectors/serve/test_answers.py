"""Whose an identifier is, and what a reader gets of it."""

import itertools

import msgspec
import pytest

from connectors.serve.answers import Conflict, Found, Match, Moved, Shared, Unknown, Unusable
from schemas.asked import AskedIdentifier
from schemas.document import ContextDocument, Trait, encode_document
from schemas.identity_policy import Grade
from schemas.roles import ATTACHED, JOINED
from schemas.topics import Topic
from tests.connectors.serve.support import Copy, shown

EMAIL = AskedIdentifier("email", "Ann@Example.com")


def ask(copy: Copy, kind: str, value: str, min_grade: Grade = Grade.CLAIMED) -> object:
    return copy.answers.identifier(AskedIdentifier(kind, value), min_grade)


def test_an_identifier_that_identity_never_named_is_its_own_customer() -> None:
    copy = Copy()
    customer = copy.fragment("email", "ann@example.com")
    encoded = copy.context(customer, shown("email", "ann@example.com", Grade.LOGIN), level="identified")
    assert copy.answers.identifier(EMAIL) == Found(encoded, customer, Match("email", "login", "identified"))


def test_a_member_leads_to_its_owner_with_the_grade_of_its_own_chain() -> None:
    copy = Copy()
    customer = copy.home("crm", "8812", Grade.RECORD, level="identified")
    copy.link("cookie", "c-1", customer, ATTACHED, Grade.CLAIMED)
    answer = ask(copy, "cookie", "c-1")
    assert isinstance(answer, Found)
    assert (answer.customer, answer.match) == (customer, Match("cookie", "claimed", "identified"))


def test_a_homes_grade_is_the_one_that_its_context_shows() -> None:
    copy = Copy()
    customer = copy.link("email", "ann@example.com", grade=Grade.CLAIMED)
    copy.context(customer, shown("email", "ann@example.com", Grade.RECORD))
    answer = copy.answers.identifier(EMAIL)
    assert isinstance(answer, Found)
    assert answer.match == Match("email", "record", "recognised")


def test_what_was_never_seen_is_unknown_and_so_is_a_customer_without_events() -> None:
    copy = Copy()
    assert copy.answers.identifier(EMAIL) == Unknown()
    customer = copy.link("email", "ann@example.com")
    assert copy.answers.identifier(EMAIL) == Unknown()
    assert copy.answers.customer(customer) == Unknown()
    assert copy.answers.customer("no id at all") == Unknown()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("session", "s-1"),
        ("ip", "10.0.0.1"),
        ("company", "acme"),
        ("national_id", "123456782"),
        ("email", "no address"),
        ("cookie", "NULL"),
        ("cookie", " "),
        ("Not A Kind", "x"),
        ("cookie", "x" * 300),
    ],
)
def test_what_routes_nothing_is_unusable(kind: str, value: str) -> None:
    assert ask(Copy(), kind, value) == Unusable(("/identifiers/0",))


def test_a_shared_identifier_names_the_customers_of_its_neighbours_once_each() -> None:
    copy = Copy()
    one, two = copy.home("crm", "1"), copy.home("crm", "2")
    member = copy.link("email", "ann@example.com", one, JOINED, Grade.LOGIN)
    other_shared = copy.share("cookie", "kiosk")
    phone = copy.share("phone", "+31201234567", one, member, other_shared, two)
    assert ask(copy, "phone", "+31 20 123 45 67") == Shared((one, two))
    assert copy.answers.customer(phone) == Shared((one, two))


@pytest.mark.parametrize("min_grade", [Grade.LOGIN, Grade.RECORD])
def test_above_claimed_a_shared_identifier_names_no_customer(min_grade: Grade) -> None:
    copy = Copy()
    copy.share("phone", "+31201234567", copy.home("crm", "1", Grade.RECORD))
    assert ask(copy, "phone", "+31201234567", min_grade) == Shared(())


def test_a_shared_identifiers_document_is_never_shown_even_before_its_link_row_is_there() -> None:
    copy = Copy()
    customer = copy.fragment("phone", "+31201234567")
    copy.context(customer, level="shared")
    assert ask(copy, "phone", "+31201234567") == Shared(())
    assert copy.answers.customer(customer) == Shared(())


def test_a_merged_id_leads_to_its_successor_once_that_is_published() -> None:
    copy = Copy()
    old = copy.home("cookie", "c-1")
    new = copy.link("email", "ann@example.com", grade=Grade.LOGIN)
    copy.link("cookie", "c-1", new, ATTACHED, Grade.LOGIN)
    before = ask(copy, "cookie", "c-1")
    assert isinstance(before, Found)
    assert before.customer == old
    assert isinstance(copy.answers.customer(old), Found)
    copy.context(new, shown("email", "ann@example.com", Grade.LOGIN))
    assert copy.answers.customer(old) == Moved(new)
    after = ask(copy, "cookie", "c-1")
    assert isinstance(after, Found)
    assert after.customer == new
    copy.forget_context(old)
    assert copy.answers.customer(old) == Moved(new)


def test_after_a_split_both_ids_answer_again() -> None:
    copy = Copy()
    one = copy.home("crm", "1", Grade.RECORD)
    two = copy.link("account", "n-2", one, JOINED, Grade.RECORD)
    assert copy.answers.customer(two) == Moved(one)
    copy.home("account", "n-2", Grade.RECORD)
    assert isinstance(copy.answers.customer(two), Found)
    assert isinstance(copy.answers.customer(one), Found)
    assert [place.fragment for place in copy.finder.members(one)] == [one]


def test_the_strongest_identifier_decides_whatever_the_order_of_the_question() -> None:
    copy = Copy()
    ann = copy.home("email", "ann@example.com", Grade.LOGIN, level="identified")
    bob = copy.home("phone", "+31201234567")
    copy.link("cookie", "c-1", ann, ATTACHED)
    shared = copy.share("device", "0b5f2a7e-3a44-4c9c-8c1e-7d2f7a3b9d10")
    assert shared
    asked = [
        AskedIdentifier("cookie", "c-1"),
        AskedIdentifier("phone", "+31201234567"),
        AskedIdentifier("email", "ann@example.com"),
        AskedIdentifier("email", "nobody@example.com"),
        AskedIdentifier("device", "0B5F2A7E-3A44-4C9C-8C1E-7D2F7A3B9D10"),
        AskedIdentifier("session", "s-1"),
    ]
    for order in itertools.permutations(range(len(asked))):
        answer = copy.answers.lookup([asked[number] for number in order])
        assert isinstance(answer, Found)
        assert (answer.customer, answer.match) == (ann, Match("email", "login", "identified"))
        assert answer.unusable == (f"/identifiers/{order.index(5)}",)
        assert sorted(answer.conflicts, key=lambda conflict: conflict.kind) == [
            Conflict(f"/identifiers/{order.index(4)}", "device", "shared"),
            Conflict(f"/identifiers/{order.index(1)}", "phone", "recognised", "claimed", bob),
        ]


def test_only_shared_and_unknown_identifiers_give_the_shared_ones_candidates() -> None:
    copy = Copy()
    one = copy.home("crm", "1")
    copy.share("phone", "+31201234567", one)
    asked = [AskedIdentifier("email", "nobody@example.com"), AskedIdentifier("phone", "+31201234567")]
    assert copy.answers.lookup(asked) == Shared((one,))


def test_below_the_least_grade_an_identifier_yields_only_its_own_events_without_the_customers_id() -> None:
    copy = Copy()
    customer = copy.home("email", "ann@example.com", Grade.LOGIN, level="identified")
    copy.link("cookie", "c-1", customer, ATTACHED, Grade.CLAIMED)
    copy.fold_alone("cookie", "c-1", first_name="Forger")
    answer = ask(copy, "cookie", "c-1", Grade.LOGIN)
    assert isinstance(answer, Found)
    assert (answer.customer, answer.match) == (None, Match("cookie", "claimed", "anonymous"))
    document = msgspec.json.decode(answer.encoded)
    assert customer.encode() not in answer.encoded
    assert "customer" not in document
    assert document["traits"]["first_name"]["value"] == "Forger"
    assert [shown["value"] for shown in document["identifiers"]] == ["c-1"]
    assert document["interactions"]["count"] == 1
    enough = ask(copy, "cookie", "c-1")
    assert isinstance(enough, Found)
    assert enough.customer == customer


def test_below_the_least_grade_an_identifier_without_events_of_its_own_is_unknown() -> None:
    copy = Copy()
    customer = copy.home("email", "ann@example.com", Grade.LOGIN)
    copy.link("cookie", "c-1", customer, ATTACHED, Grade.CLAIMED)
    assert ask(copy, "cookie", "c-1", Grade.LOGIN) == Unknown()


def test_below_the_least_grade_a_question_does_not_tell_whether_two_identifiers_belong_together() -> None:
    together, apart = Copy(), Copy()
    for copy in (together, apart):
        copy.fold_alone("phone", "+31201234567")
        copy.fold_alone("cookie", "c-1")
    customer = together.home("email", "ann@example.com")
    together.link("phone", "+31201234567", customer, ATTACHED)
    together.link("cookie", "c-1", customer, ATTACHED)
    apart.home("phone", "+31201234567")
    apart.home("cookie", "c-1", level="anonymous")
    asked = [AskedIdentifier("phone", "+31201234567"), AskedIdentifier("cookie", "c-1")]
    answers = [copy.answers.lookup(asked, Grade.LOGIN) for copy in (together, apart)]
    assert answers[0] == answers[1]
    assert isinstance(answers[0], Found)
    assert answers[0].conflicts == (Conflict("/identifiers/1", "cookie", "anonymous", "claimed"),)


def test_a_trait_that_is_known_less_well_than_was_asked_for_is_left_out() -> None:
    copy = Copy()
    customer = copy.home("account", "ann", Grade.LOGIN)
    document = msgspec.json.decode(copy.context(customer, shown("account", "ann", Grade.LOGIN)), type=ContextDocument)

    def said(value: str, grade: str | None, claim: Trait | None = None) -> Trait:
        encoded = msgspec.Raw(msgspec.json.encode(value))
        return Trait(encoded, "2026-01-01T00:00:00Z", "shop", "e-1", grade=grade, newer_claim=claim)

    document.traits = {
        "city": said("Delft", None), "email": said("forged@example.com", "claimed"),
        "phone": said("+31201234567", "login", said("+31209999999", "claimed")),
    }  # fmt: skip
    encoded = encode_document(document)
    copy.put(copy.record(Topic.CONTEXT, customer.encode(), encoded))
    asked = AskedIdentifier("account", "ann")
    whole = copy.answers.identifier(asked)
    assert isinstance(whole, Found)
    assert whole.encoded == encoded
    careful = copy.answers.identifier(asked, Grade.LOGIN)
    assert isinstance(careful, Found)
    traits = msgspec.json.decode(careful.encoded, type=ContextDocument).traits
    assert list(traits) == ["city", "phone"]
    assert traits["phone"].newer_claim is None
    assert b"forged" not in careful.encoded
