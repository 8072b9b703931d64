"""Orders of systems of record: what each type says, whose word counts, and what makes a dead letter."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.cleaning import Cleaned, Cleaner
from schemas.errors import DeadCode, EventError
from schemas.event import parse_structured
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Grade, Kind, Policy, Strength
from schemas.keys import Keyring
from schemas.limits import IDENTIFIERS_MAX
from schemas.messages import Order
from schemas.orders import Authority, Verb
from schemas.sources import Source, SourceRegistry
from schemas.strict_json import canonical_json
from schemas.times import parse_time
from schemas.topics import DEFAULT_CHANNELS
from tests.schemas.test_event import JSON

TIME = "2026-11-22T10:00:00Z"
NOW_US = parse_time(TIME)
KEYRING = Keyring(b"a secret of enough bytes")
TYPES = ("identity.merged", "identity.removed", "identity.replaced")
REGISTRY = SourceRegistry(
    {
        "crm-north": Source(channel="crm", grades={"*": "record"}, realm="brand", namespace="north"),
        "crm-south": Source(channel="crm", grades={"*": "record"}, realm="brand", namespace="south"),
        "crm": Source(channel="crm", grades={"identity.merged": "record", "*": "login"}),
        "app": Source(channel="app", grades={"*": "login"}),
    }
)


def clean(
    data: dict[str, Any],
    *,
    event_type: str = "identity.merged",
    source: str = "crm-north",
    policy: Policy = DEFAULT_POLICY,
) -> Cleaned:
    cleaner = Cleaner(policy=policy, registry=REGISTRY, keyring=KEYRING, channels=DEFAULT_CHANNELS)
    event = {"specversion": "1.0", "id": "e-1", "source": source, "type": event_type, "time": TIME, "channel": "crm"}
    return cleaner.clean(parse_structured(canonical_json(event | {"data": data})), topic_channel=None, now_us=NOW_US)


def fault(data: dict[str, Any], **options: Any) -> tuple[DeadCode, str]:
    with pytest.raises(EventError) as caught:
        clean(data, **options)
    return caught.value.code, caught.value.pointer


def pair(order: Order) -> tuple[Identifier, ...]:
    return tuple(KEYRING.unseal(each.sealed, each.fragment) for each in order.identifiers)


def crm(value: str, namespace: str = "north") -> Identifier:
    return Identifier("crm", value, namespace, "brand")


@pytest.mark.parametrize(
    ("event_type", "verb"),
    [("identity.merged", Verb.REQUIRE), ("identity.removed", Verb.FORBID), ("identity.replaced", Verb.REQUIRE)],
)
def test_an_order_is_about_the_strongest_identifier_and_the_other(event_type: str, verb: Verb) -> None:
    cleaned = clean(
        {"identifiers": {"email": "new@x.example", "crm": 1}, "other": {"crm": " 2 "}}, event_type=event_type
    )
    (order,) = cleaned.orders
    assert pair(order) == (crm("1"), crm("2"))
    assert (order.source, order.id, order.time) == ("crm-north", "e-1", NOW_US)
    assert (order.authority, order.verb) == (Authority.RECORD, verb)
    assert order.former == (KEYRING.fragment_id(crm("2")) if event_type == "identity.replaced" else "")
    # The event is folded like any other, and the other is no evidence of its own.
    assert cleaned.routed.target == KEYRING.fragment_id(crm("1"))
    named = [KEYRING.unseal(each.sealed, each.fragment) for each in cleaned.identifiers]
    assert named == [crm("1"), Identifier("email", "new@x.example", realm="brand")]


def test_each_of_the_others_makes_an_order_and_one_that_comes_twice_makes_one() -> None:
    other = {"crm": ["3", "2", None, " 3"], "email": "Old@X.example", "phone": None}
    orders = clean({"identifiers": {"crm": "1"}, "other": other}).orders
    assert [pair(order)[1] for order in orders] == [
        crm("2"),
        crm("3"),
        Identifier("email", "old@x.example", realm="brand"),
    ]


def test_an_other_is_of_the_realm_and_namespace_of_the_source() -> None:
    data = {"identifiers": {"crm": "1"}, "other": {"crm": "2"}}
    assert pair(clean(data, source="crm-north").orders[0]) == (crm("1"), crm("2"))
    assert pair(clean(data, source="crm-south").orders[0]) == (crm("1", "south"), crm("2", "south"))


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize("source", ["stranger", "app", "crm"])
def test_only_a_source_that_is_registered_with_grade_record_for_the_type_may_order(
    event_type: str, source: str
) -> None:
    data = {"identifiers": {"crm": "1"}, "other": {"crm": "2"}}
    if (source, event_type) == ("crm", "identity.merged"):
        assert len(clean(data, event_type=event_type, source=source).orders) == 1
    else:
        assert fault(data, event_type=event_type, source=source) == (DeadCode.ORDER_NOT_ALLOWED, "/type")


SAYS_SO = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(["record", "operator", 3, 2, True, "crm-north"])
        for name in ("grade", "rank", "authority", "trust", "verb", "author", "source")
    },
)


@settings(max_examples=100)
@given(said=SAYS_SO, event_type=st.sampled_from([*TYPES, "page.viewed"]), source=st.sampled_from(["stranger", "app"]))
def test_nothing_that_a_body_says_raises_a_grade(said: dict[str, Any], event_type: str, source: str) -> None:
    expected = Grade.LOGIN if source == "app" else Grade.CLAIMED
    body = {"identifiers": {"crm": "1", "email": "a@x.example"}, **said, "traits": said, "link": True}
    assert clean(body, event_type="form.sent", source=source).grade is expected
    if event_type in TYPES:
        assert (
            fault(body | {"other": {"crm": "2"}}, event_type=event_type, source=source)[0] is DeadCode.ORDER_NOT_ALLOWED
        )
    else:
        cleaned = clean(body, event_type=event_type, source=source)
        assert (cleaned.grade, cleaned.routed.grade, cleaned.routed.rank) == (expected, expected, 0)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (None, (DeadCode.ORDER_WITHOUT_OTHER, "/data/other")),
        ({}, (DeadCode.ORDER_WITHOUT_OTHER, "/data/other")),
        ({"crm": [None], "email": None}, (DeadCode.ORDER_WITHOUT_OTHER, "/data/other")),
        ("crm:2", (DeadCode.WRONG_ATTRIBUTE, "/data/other")),
        ({"crm": {"id": 2}}, (DeadCode.WRONG_ATTRIBUTE, "/data/other/crm")),
        ({"crm": ["2", 2.5]}, (DeadCode.WRONG_ATTRIBUTE, "/data/other/crm/1")),
        ({"Crm": "2"}, (DeadCode.WRONG_ATTRIBUTE, "/data/other/Crm")),
        ({"crm": ["2", "null"]}, (DeadCode.ORDER_WITH_UNUSABLE_OTHER, "/data/other/crm/1")),
        ({"email": "no address"}, (DeadCode.ORDER_WITH_UNUSABLE_OTHER, "/data/other/email")),
        ({"session": "s"}, (DeadCode.ORDER_WITH_UNUSABLE_OTHER, "/data/other/session")),
        ({"company": "acme"}, (DeadCode.ORDER_WITH_UNUSABLE_OTHER, "/data/other/company")),
        ({"national_id": "111222333"}, (DeadCode.ORDER_WITH_UNUSABLE_OTHER, "/data/other/national_id")),
        ({"crm": "x" * 300}, (DeadCode.IDENTIFIER_TOO_LONG, "/data/other/crm")),
        ({"crm": [str(n) for n in range(IDENTIFIERS_MAX + 1)]}, (DeadCode.TOO_MANY_IDENTIFIERS, "/data/other")),
        ({"crm": " 1"}, (DeadCode.ORDER_OF_ONE_IDENTIFIER, "/data/other")),
        ({"crm": ["2", "1"]}, (DeadCode.ORDER_OF_ONE_IDENTIFIER, "/data/other")),
    ],
)
def test_an_order_that_is_not_exact_is_a_dead_letter(other: Any, expected: tuple[DeadCode, str]) -> None:
    data = {"identifiers": {"crm": "1"}, "other": other}
    assert fault({name: value for name, value in data.items() if value is not None}) == expected


def test_an_event_that_links_nobody_orders_nothing_and_is_folded() -> None:
    data = {"identifiers": {"crm": "1"}, "other": {"crm": "null"}, "link": False}
    for source in ("crm-north", "stranger"):
        cleaned = clean(data, source=source)
        assert not cleaned.orders
        assert not cleaned.identifiers


def test_in_other_events_other_is_the_events_own() -> None:
    cleaned = clean({"identifiers": {"crm": "1"}, "other": "anything"}, event_type="page.viewed", source="stranger")
    assert cleaned.orders == ()
    assert b'"other":"anything"' in cleaned.routed.data


def test_an_other_of_a_hidden_kind_is_ordered_and_not_shown() -> None:
    policy = Policy(
        kinds=(Kind("crm", Strength.IDENTIFYING), Kind("national_id", Strength.IDENTIFYING, hidden=True)),
    )
    cleaned = clean({"identifiers": {"crm": "1"}, "other": {"crm": "2", "national_id": "111222333"}}, policy=policy)
    assert [pair(order)[1].value for order in cleaned.orders] == ["2", "111222333"]
    assert b"111222333" not in cleaned.routed.data
    assert b'"other":{"crm":"2"}' in cleaned.routed.data


@settings(max_examples=150)
@given(other=JSON | st.dictionaries(st.sampled_from(["crm", "email", "phone", "session", "x"]), JSON, max_size=3))
def test_whatever_other_is_gives_orders_or_a_dead_letter(other: Any) -> None:
    try:
        orders = clean({"identifiers": {"crm": "1"}, "other": other}).orders
    except EventError:
        return
    assert orders
    assert len({order.identifiers[1].fragment for order in orders}) == len(orders) <= IDENTIFIERS_MAX
    assert all(order.identifiers[0].fragment != order.identifiers[1].fragment for order in orders)
