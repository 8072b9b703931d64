"""The join: commutative, exact in its counts, and never led by who is only attached."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.document import canonical_bytes, encode_document
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Kind, Policy, Strength
from schemas.messages import Ref, RoutedEvent
from state.context.document import show
from state.fold import fold
from state.fragment import Fragment, Limits
from state.join import Joined, JoinRules, Part, join
from tests.state.builders import ANN, ANNS_ACCOUNT, ANNS_COOKIE, DAY, MINUTE, MORNING, fragment_of, routed
from tests.state.reference import Place, expected_document
from tests.state.strategies import histories

RULES = JoinRules(DEFAULT_POLICY)
TIGHT = JoinRules(
    DEFAULT_POLICY,
    limits=Limits(traits=2, trusted=1, types=2, days=2, refs=2, groups=2, permissions=2, recent=2, identifiers=2),
)


def part(
    identifier: Identifier,
    role: str,
    events: list[RoutedEvent],
    grade: int = 1,
    limits: Limits = RULES.limits,
    *,
    former: bool = False,
) -> Part:
    content = Fragment()
    for event in events:
        fold(content, event, limits)
    grade = max(grade, content.grade) if role == "home" else grade
    return Part(identifier, role, grade, None, None, content, former=former)


def shown(home: Part, *members: Part, rules: JoinRules = RULES) -> dict[str, Any]:
    document = show(fragment_of(home.identifier), join(home, members, rules))
    assert document is not None
    decoded: dict[str, Any] = msgspec.json.decode(encode_document(document))
    return decoded


@settings(max_examples=60)
@given(
    histories(ANN),
    histories(ANNS_COOKIE),
    histories(ANNS_ACCOUNT),
    st.sampled_from(["joined", "attached"]),
    st.sampled_from(["joined", "attached"]),
)
def test_the_document_is_what_the_members_events_say(
    anns: list[RoutedEvent], cookies: list[RoutedEvent], accounts: list[RoutedEvent], one: str, other: str
) -> None:
    histories_by_identifier = {ANN: anns, ANNS_COOKIE: cookies, ANNS_ACCOUNT: accounts}
    # One name in two fragments is an event sent again with other identifiers; the reference has no order for that.
    for identifier, events in histories_by_identifier.items():
        events[:] = [msgspec.structs.replace(event, id=f"{identifier.kind}-{event.id}") for event in events]
    places = [
        Place(ANN, ANN, "home", 1, -1, -1),
        Place(ANNS_COOKIE, ANN, one, 2, MORNING, MORNING),
        Place(ANNS_ACCOUNT, ANN, other, 1, MORNING, MORNING),
    ]
    home = part(ANN, "home", anns)
    members = [
        msgspec.structs.replace(
            part(place.identifier, place.state, histories_by_identifier[place.identifier], place.grade),
            first=place.first,
            last=place.last,
        )
        for place in places[1:]
    ]
    document = show(fragment_of(ANN), join(home, members, RULES))
    if not anns:
        # The reference knows no time for a home that neither an event nor identity saw; identity always did.
        return
    assert document is not None
    assert msgspec.json.decode(canonical_bytes(document)) == expected_document(
        places[0], places[1:], histories_by_identifier
    )


@settings(max_examples=40)
@given(st.permutations(range(4)), st.lists(histories(events_max=6), min_size=5, max_size=5))
@pytest.mark.parametrize("rules", [RULES, TIGHT], ids=["usual", "tight"])
def test_members_in_any_order_give_the_same_bytes(
    rules: JoinRules, order: list[int], events: list[list[RoutedEvent]]
) -> None:
    home = part(ANN, "home", [routed(id="home"), *events[0]], limits=rules.limits)
    members = [
        part(Identifier(kind, "x"), role, own, limits=rules.limits)
        for (kind, role), own in zip(
            [("crm", "joined"), ("email", "joined"), ("cookie", "attached"), ("phone", "attached")],
            events[1:],
            strict=True,
        )
    ]
    assert shown(home, *members, rules=rules) == shown(home, *(members[place] for place in order), rules=rules)


@settings(max_examples=60)
@given(histories(), histories())
def test_two_fragments_keep_what_one_fragment_of_all_their_events_would(
    some: list[RoutedEvent], others: list[RoutedEvent]
) -> None:
    others = [msgspec.structs.replace(event, id=f"o-{event.id}") for event in others]
    home = part(ANN, "home", [*some, *others], limits=TIGHT.limits)
    split = join(
        part(ANN, "home", some, limits=TIGHT.limits),
        [part(ANNS_ACCOUNT, "joined", others, limits=TIGHT.limits)],
        TIGHT,
    )
    whole = join(home, [], TIGHT)

    def content(joined: Joined) -> tuple[object, ...]:
        # Of trusted registers one less is kept per fragment than there are trusted traits.
        traits = {name: fact for name, fact in joined.traits.items() if name not in TIGHT.trusted_traits}
        return (joined.types, joined.days, joined.refs, joined.groups, joined.recent, joined.permissions, traits)

    assert content(split) == content(whole)


def test_an_attached_members_traits_fill_in_but_never_win() -> None:
    home = part(ANN, "home", [routed(traits={"city": b'"Utrecht"'})])
    cookie = part(
        ANNS_COOKIE,
        "attached",
        [routed(ANNS_COOKIE, time=MORNING + DAY, traits={"city": b'"Delft"', "shoe_size": b"43"})],
    )
    traits = shown(home, cookie)["traits"]
    assert traits["city"]["value"] == "Utrecht"
    assert "via" not in traits["city"]
    assert traits["shoe_size"]["value"] == 43
    assert traits["shoe_size"]["via"] == "cookie"


def test_a_withdrawn_trait_hides_and_lets_no_attached_one_fill_in() -> None:
    home = part(ANN, "home", [routed(traits={"city": b"null"})])
    cookie = part(ANNS_COOKIE, "attached", [routed(ANNS_COOKIE, traits={"city": b'"Delft"'})])
    assert shown(home, cookie)["traits"] == {}


def test_a_trusted_trait_shows_the_best_graded_value_and_the_newer_claim() -> None:
    record = routed(id="e-1", grade=3, traits={"email": b'"ann@example.com"'})
    claim = routed(id="e-2", time=MORNING + MINUTE, traits={"email": b'"forger@example.com"'})
    trait = shown(part(ANN, "home", [claim, record]))["traits"]["email"]
    assert trait["value"] == "ann@example.com"
    assert trait["newer_claim"]["value"] == "forger@example.com"
    assert trait["newer_claim"]["event"] == "e-2"
    assert (trait["grade"], trait["newer_claim"]["grade"]) == ("record", "claimed")


def test_traits_that_are_not_trusted_show_no_grade() -> None:
    home = part(ANN, "home", [routed(grade=3, traits={"city": b'"Delft"', "email": b'"ann@example.com"'})])
    assert "grade" not in shown(home)["traits"]["city"]
    trusting = JoinRules(DEFAULT_POLICY, trusted_traits=frozenset({"city"}))
    assert shown(home, rules=trusting)["traits"]["city"]["grade"] == "record"
    assert "grade" not in shown(home, rules=trusting)["traits"]["email"]


def mail(id: str, address: str, minute: int, grade: int) -> RoutedEvent:  # noqa: A002 (an event's field)
    domain = address.partition("@")[2].lower()
    traits = {"email": f'"{address}"'.encode(), "email_domain": f'"{domain}"'.encode()}
    return routed(ANNS_ACCOUNT, id=id, time=MORNING + minute * MINUTE, grade=grade, traits=traits)


FORMER_MAIL = Identifier("email", "ann@old.example")


def test_a_former_address_never_wins_over_another_one_however_well_it_was_known() -> None:
    events = [mail("e-1", "Ann@OLD.example", 1, 3), mail("e-2", "ann@new.example", 2, 1)]
    home = part(ANNS_ACCOUNT, "home", events, 3)
    before = shown(home, part(FORMER_MAIL, "joined", [], 3))["traits"]
    assert (before["email"]["value"], before["email_domain"]["value"]) == ("Ann@OLD.example", "old.example")
    after = shown(home, part(FORMER_MAIL, "joined", [], 3, former=True))["traits"]
    assert (after["email"]["value"], after["email_domain"]["value"]) == ("ann@new.example", "new.example")
    assert "newer_claim" not in after["email"]
    # Nor where only claims say it, or where the former one is said last.
    events = [mail("e-1", "ann@new.example", 1, 2), mail("e-2", "ann@old.example", 2, 1)]
    late = shown(part(ANNS_ACCOUNT, "home", events), part(FORMER_MAIL, "joined", [], 3, former=True))["traits"]
    assert (late["email"]["value"], late["email_domain"]["value"]) == ("ann@new.example", "new.example")
    assert "newer_claim" not in late["email"]


def test_a_former_address_is_shown_where_nobody_says_another() -> None:
    home = part(ANNS_ACCOUNT, "home", [mail("e-1", "ann@old.example", 1, 1)], 3)
    traits = shown(home, part(FORMER_MAIL, "joined", [], 3, former=True))["traits"]
    assert (traits["email"]["value"], traits["email_domain"]["value"]) == ("ann@old.example", "old.example")


def test_of_one_kind_current_identifiers_come_before_former_ones() -> None:
    home = part(ANNS_ACCOUNT, "home", [routed(ANNS_ACCOUNT)], 3)
    old = part(Identifier("email", "a@example.com"), "joined", [], 3, former=True)
    new = part(Identifier("email", "b@example.com"), "joined", [], 3)
    identifiers = shown(home, old, new)["identifiers"]
    assert [(each["value"], each["status"]) for each in identifiers] == [
        ("8812", "current"),
        ("b@example.com", "current"),
        ("a@example.com", "former"),
    ]


def test_recent_and_last_contacts_of_an_attached_member_name_its_kind() -> None:
    home = part(ANN, "home", [routed(id="e-1")])
    cookie = part(ANNS_COOKIE, "attached", [routed(ANNS_COOKIE, id="e-2", time=MORNING + MINUTE)])
    document = shown(home, cookie)
    assert [each.get("via") for each in document["interactions"]["recent"]] == ["cookie", None]
    assert document["last"]["in"]["via"] == "cookie"
    assert document["last"]["out"] is None


def test_groups_that_only_attached_members_tell_name_their_kind() -> None:
    home = part(ANN, "home", [routed(groups={"company": ("acme",)})])
    cookie = part(
        ANNS_COOKIE, "attached", [routed(ANNS_COOKIE, groups={"company": ("globex",), "household": ("h-1",)})]
    )
    document = shown(home, cookie)
    assert document["groups"] == {"company": ["acme"], "household": ["h-1"]}
    assert document["groups_via"] == {"household": "cookie"}


def test_a_shared_identifier_shows_its_counts_and_nothing_of_anybody() -> None:
    event = routed(
        traits={"city": b'"Utrecht"'},
        refs=(Ref("order", "o-1"),),
        groups={"company": ("acme",)},
        permissions={"email": {"marketing": True}},
    )
    document = shown(part(ANN, "shared", [event]))
    assert document["identity"] == {"level": "shared", "strongest": "email"}
    assert document["interactions"] == {
        "count": 1,
        "first": "2026-11-22T10:00:00Z",
        "last": "2026-11-22T10:00:00Z",
        "recent": [],
    }
    assert document["channels"]["web"]["interactions"] == 1
    assert document["last"] == {"in": None, "out": None}
    for empty in ("identifiers", "traits", "refs", "groups", "permissions"):
        assert not document[empty]


@pytest.mark.parametrize(
    ("identifier", "grade", "member", "level"),
    [
        (ANN, 1, None, "recognised"),
        (ANN, 2, None, "identified"),
        (ANN, 1, Part(ANNS_ACCOUNT, "joined", 1, None, None, Fragment()), "identified"),
        (ANN, 1, Part(ANNS_ACCOUNT, "attached", 3, None, None, Fragment()), "recognised"),
        (Identifier("phone", "+31201234567"), 3, None, "recognised"),
        (Identifier("badge", "17"), 1, None, "recognised"),
        (ANNS_COOKIE, 3, None, "anonymous"),
    ],
)
def test_the_level_says_what_the_customer_rests_on(
    identifier: Identifier, grade: int, member: Part | None, level: str
) -> None:
    home = part(identifier, "home", [routed(identifier)], grade)
    assert shown(home, *([member] if member else []))["identity"]["level"] == level


def test_identifiers_stand_strongest_kind_first_and_hidden_kinds_not_at_all() -> None:
    hidden = Kind("national_id", Strength.IDENTIFYING, hidden=True)
    kinds = (hidden, *(kind for kind in DEFAULT_POLICY.kinds if kind.name != "national_id"))
    rules = JoinRules(Policy(kinds))
    members = [
        Part(identifier, "joined", 2, MORNING, MORNING - 30 * DAY, Fragment())
        for identifier in (
            ANNS_COOKIE,
            Identifier("email", "a@example.com"),
            Identifier("crm", "9", "billing"),
            Identifier("national_id", "123"),
        )
    ]
    document = shown(part(ANN, "home", [routed()]), *members, rules=rules)
    assert [(each["kind"], each["value"]) for each in document["identifiers"]] == [
        ("crm", "9"),
        ("email", "a@example.com"),
        ("email", "ann@example.com"),
        ("cookie", "c-77"),
    ]
    assert document["identity"]["strongest"] == "crm"
    assert document["identifiers"][0]["namespace"] == "billing"
    assert document["identifiers"][0]["first"] == document["identifiers"][0]["last"] == "2026-11-22T10:00:00Z"
    assert document["identifiers"][0]["grade"] == "login"


def test_a_hidden_kind_is_never_named() -> None:
    kinds = tuple(
        msgspec.structs.replace(kind, enabled=True, hidden=kind.name in {"national_id", "social"})
        for kind in DEFAULT_POLICY.kinds
    )
    rules = JoinRules(Policy(kinds))
    citizen, handle = Identifier("national_id", "111222333"), Identifier("social", "x:ann")
    home = part(citizen, "home", [routed(source="a")])
    assert shown(home, rules=rules)["identity"]["strongest"] == "other"
    cookie = part(ANNS_COOKIE, "attached", [])
    hidden = part(handle, "attached", [routed(source="b", traits={"city": b'"Delft"'}, direction="out")])
    document = shown(home, cookie, hidden, rules=rules)
    assert document["identity"]["strongest"] == "cookie"
    assert [each["kind"] for each in document["identifiers"]] == ["cookie"]
    assert document["traits"]["city"]["via"] == document["last"]["out"]["via"] == "other"
    text = msgspec.json.encode(document)
    assert not any(word in text for word in (b"national_id", b"social", b"111222333", b"x:ann"))


def test_a_customer_without_events_has_no_context() -> None:
    assert show("x", join(part(ANN, "home", []), [part(ANNS_COOKIE, "attached", [])], RULES)) is None


def test_a_context_is_settling_while_a_members_snapshot_is_on_the_way() -> None:
    cookie = msgspec.structs.replace(part(ANNS_COOKIE, "attached", []), settling=True)
    assert shown(part(ANN, "home", [routed()]), cookie)["settling"] is True
