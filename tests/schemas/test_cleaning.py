"""Cleaning: whose word an event is, whose event it is and what it says, each limit with its own code."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import event_identifiers, normalise
from schemas.cleaning import Cleaned, Cleaner
from schemas.errors import DeadCode, EventError
from schemas.event import parse_structured
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Grade, Kind, Normaliser, Policy, Strength
from schemas.keys import Keyring
from schemas.limits import IDENTIFIERS_MAX, SUMMARY_LENGTH_MAX, TRAITS_MAX
from schemas.messages import Ref
from schemas.sources import Source, SourceRegistry
from schemas.times import parse_time
from schemas.topics import DEFAULT_CHANNELS
from tests.schemas.test_event import JSON

TIME = "2026-11-22T10:00:00Z"
NOW_US = parse_time(TIME)
KEYRING = Keyring(b"a secret of enough bytes")
REGISTRY = SourceRegistry(
    {
        "crm-north": Source(channel="crm", rank=9, grades={"*": "record"}, realm="brand", namespace="north"),
        "app": Source(channel="app", grades={"login.done": "login"}),
    }
)


def cleaner(policy: Policy = DEFAULT_POLICY, **options: Any) -> Cleaner:
    return Cleaner(policy=policy, registry=REGISTRY, keyring=KEYRING, channels=DEFAULT_CHANNELS, **options)


def clean(
    data: dict[str, Any], *, of: Cleaner | None = None, topic_channel: str | None = "web", **attributes: Any
) -> Cleaned:
    event = {"specversion": "1.0", "id": "e-1", "source": "shop", "type": "page.viewed", "time": TIME, **attributes}
    body = json.dumps({**event, "data": data}).encode()
    return (of or cleaner()).clean(parse_structured(body), topic_channel=topic_channel, now_us=NOW_US)


def fault(data: dict[str, Any], **options: Any) -> tuple[DeadCode, str]:
    with pytest.raises(EventError) as caught:
        clean(data, **options)
    return caught.value.code, caught.value.pointer


def unsealed(cleaned: Cleaned) -> list[Identifier]:
    return [KEYRING.unseal(each.sealed, each.fragment) for each in cleaned.identifiers]


def routing(cleaned: Cleaned) -> Identifier:
    return KEYRING.unseal(cleaned.routed.sealed, cleaned.routed.target)


def test_an_event_is_cleaned_whole() -> None:
    cleaned = clean(
        {
            "identifiers": {"cookie": "c-77", "email": "Ann@Example.com", "company": " Acme "},
            "traits": {"first_name": "Ann", "address": {"street": "x", "city": "y"}, "gone": None},
            "summary": "Viewed running shoes",
            "direction": "in",
            "session": 9,
            "refs": [{"kind": "order", "id": 12, "status": "paid"}, {"kind": "cart", "id": "c"}],
            "permissions": {"email": {"marketing": True}, "sms": None},
            "groups": {"household": ["h-2", 1]},
            "url": "https://shop.example",
        },
        channel="web",
    )
    routed = cleaned.routed
    assert routed.target == KEYRING.fragment_id(Identifier("email", "ann@example.com"))
    assert routing(cleaned) == Identifier("email", "ann@example.com")
    assert (routed.source, routed.id, routed.type, routed.time) == ("shop", "e-1", "page.viewed", NOW_US)
    assert (routed.channel, routed.rank, routed.grade, routed.kind) == ("web", 0, Grade.CLAIMED, "email")
    assert routed.traits == {"first_name": b'"Ann"', "address": b'{"city":"y","street":"x"}', "gone": b"null"}
    assert routed.refs == (Ref("order", "12", "paid"), Ref("cart", "c", ""))
    assert routed.permissions == {"email": {"marketing": True}}
    assert routed.groups == {"company": ("Acme",), "household": ("1", "h-2")}
    assert (routed.summary, routed.direction, routed.session) == ("Viewed running shoes", "in", "9")
    assert json.loads(routed.data)["url"] == "https://shop.example"
    assert unsealed(cleaned) == [Identifier("email", "ann@example.com"), Identifier("cookie", "c-77")]


def test_the_strongest_kind_routes_and_of_several_values_the_smallest() -> None:
    given = {
        "cookie": "a",
        "phone": "+31201234567",
        "email": ["b@x.example", "a@x.example"],
        "session": "s",
        "ip": "::1",
    }
    assert routing(clean({"identifiers": given})) == Identifier("email", "a@x.example")
    assert routing(clean({"identifiers": {"cookie": "a", "badge": "z"}})) == Identifier("badge", "z")
    assert routing(clean({"identifiers": {"loyalty": "7", "badge": "z"}})) == Identifier("loyalty", "7")
    assert routing(clean({"identifiers": {"email": "no address", "cookie": "c"}})) == Identifier("cookie", "c")


def test_the_order_of_keys_changes_nothing() -> None:
    one = clean({"identifiers": {"cookie": ["b", "a"], "email": "a@x.example"}})
    other = clean({"identifiers": {"email": "a@x.example", "cookie": ["a", "b"]}})
    assert one.identifiers == other.identifiers
    assert one.routed.target == other.routed.target


def test_realm_and_namespace_are_the_sources() -> None:
    cleaned = clean({"identifiers": {"crm": "8812", "cookie": "c"}}, source="crm-north", topic_channel=None)
    assert unsealed(cleaned) == [
        Identifier("crm", "8812", "north", "brand"),
        Identifier("cookie", "c", "default", "brand"),
    ]
    assert (cleaned.routed.channel, cleaned.routed.rank, cleaned.grade) == ("crm", 9, Grade.RECORD)


BRANDS = SourceRegistry(
    {
        "north-crm": Source(channel="crm", realm="north", namespace="sap"),
        "north-shop": Source(channel="web", realm="north", namespace="shop"),
        "south-crm": Source(channel="crm", realm="south", namespace="sap"),
    }
)


def test_two_realms_share_nothing_and_namespaces_keep_numbers_of_two_systems_apart() -> None:
    brands = Cleaner(policy=DEFAULT_POLICY, registry=BRANDS, keyring=KEYRING, channels=DEFAULT_CHANNELS)
    given = {"identifiers": {"crm": "1", "email": "ann@x.example", "phone": "+31201234567", "cookie": "c"}}
    fragments = {}
    for source in ("north-crm", "north-shop", "south-crm"):
        cleaned = clean(given, of=brands, source=source, topic_channel=None)
        fragments[source] = {each.kind: each.fragment for each in cleaned.identifiers}
        assert cleaned.routed.target == fragments[source]["crm"]
    north, shop, south = fragments.values()
    assert not set(north.values()) & set(south.values())
    assert {kind for kind in north if north[kind] == shop[kind]} == {"email", "phone", "cookie"}


def test_the_grade_is_the_registrations_by_event_type() -> None:
    data = {"identifiers": {"account": "ann"}, "grade": "record"}
    assert clean(data, source="app", topic_channel="app", type="login.done").grade is Grade.LOGIN
    assert clean(data, source="app", topic_channel="app", type="page.viewed").grade is Grade.CLAIMED


@pytest.mark.parametrize(
    "data",
    [
        {"identifiers": {"email": "a@x.example"}},
        {"identifiers": {"email": ["a@x.example", "A@X.example "]}},
        {"identifiers": {"email": "a@x.example", "session": "s", "company": "acme"}},
        {"identifiers": {"email": "a@x.example", "cookie": "c"}, "link": False},
        {"identifiers": {"email": "a@x.example", "phone": "anonymous"}},
        {"identifiers": {"email": "a@x.example"}, "parties": {"cc": {"email": "b@x.example"}}},
    ],
)
def test_without_a_pair_there_is_no_evidence(data: dict[str, Any]) -> None:
    assert clean(data).identifiers == ()


def test_unlinkable_values_route_but_are_no_evidence() -> None:
    policy = Policy(
        kinds=DEFAULT_POLICY.kinds, unlinkable=("email:*@ours.example", "phone:020 123 4567"), phone_region="NL"
    )
    given = {"email": "desk@ours.example", "phone": "+31201234567", "cookie": "c", "account": "ann"}
    cleaned = clean({"identifiers": given}, of=cleaner(policy))
    assert unsealed(cleaned) == [Identifier("account", "ann"), Identifier("cookie", "c")]
    alone = clean({"identifiers": {"email": "desk@ours.example"}}, of=cleaner(policy))
    assert routing(alone) == Identifier("email", "desk@ours.example")


def test_a_hidden_kind_is_evidence_and_nothing_else() -> None:
    kinds = (
        Kind("national_id", Strength.IDENTIFYING, Normaliser.CHECKSUM, unique=True, hidden=True),
        *(kind for kind in DEFAULT_POLICY.kinds if kind.name != "national_id"),
    )
    given = {"identifiers": {"national_id": "111222333", "crm": "8812"}, "note": "kept"}
    cleaned = clean(given, of=cleaner(Policy(kinds=kinds)))
    assert routing(cleaned) == Identifier("crm", "8812")
    assert unsealed(cleaned) == [Identifier("national_id", "111222333"), Identifier("crm", "8812")]
    assert json.loads(cleaned.routed.data) == {"identifiers": {"crm": "8812"}, "note": "kept"}
    alone = {"identifiers": {"national_id": "111222333"}}
    assert fault(alone, of=cleaner(Policy(kinds=kinds))) == (DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers")


def test_a_kind_that_is_off_leaves_no_trace() -> None:
    cleaned = clean({"identifiers": {"national_id": "111222333", "crm": "8812"}})
    assert cleaned.identifiers == ()
    assert b"111222333" not in cleaned.routed.data


def test_only_texts_that_fit_are_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[str] = []

    def identify(kind: Kind, value: str, *more: Any) -> Identifier | None:
        resolved.append(value)
        return normalise.identify(kind, value, *more)

    monkeypatch.setattr(event_identifiers, "identify", identify)
    one = cleaner()
    for padding in (0, 1, 100_000):
        assert routing(clean({"identifiers": {"cookie": " " * padding + "c\n"}}, of=one)) == Identifier("cookie", "c")
    too_long = (DeadCode.IDENTIFIER_TOO_LONG, "/data/identifiers/cookie/1")
    assert fault({"identifiers": {"cookie": ["c", "x" * 100_000]}}, of=one) == too_long
    # Of a kind that is off nothing is looked at.
    assert clean({"identifiers": {"cookie": "c", "national_id": "1" * 100_000}}, of=one).identifiers == ()
    assert resolved == ["c"]


def test_a_long_summary_is_cut_in_the_context_only() -> None:
    cleaned = clean({"identifiers": {"crm": 1}, "summary": "word " * 100})
    assert len(cleaned.routed.summary) <= SUMMARY_LENGTH_MAX
    assert cleaned.routed.summary.endswith("word…")
    assert json.loads(cleaned.routed.data)["summary"] == "word " * 100


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"topic_channel": None}, (DeadCode.UNKNOWN_CHANNEL, "/channel")),
        ({"topic_channel": None, "channel": "telex"}, (DeadCode.UNKNOWN_CHANNEL, "/channel")),
        ({"topic_channel": "web", "channel": "app"}, (DeadCode.CHANNEL_MISMATCH, "/channel")),
        ({"topic_channel": "web", "source": "app"}, (DeadCode.CHANNEL_MISMATCH, "/channel")),
        ({"time": "2026-11-22T10:05:01Z"}, (DeadCode.FUTURE_TIME, "/time")),
    ],
)
def test_a_wrong_channel_or_time(options: dict[str, Any], expected: tuple[DeadCode, str]) -> None:
    assert fault({"identifiers": {"crm": 1}}, **options) == expected


def test_a_clock_may_run_ahead_a_little() -> None:
    assert clean({"identifiers": {"crm": 1}}, time="2026-11-22T10:05:00Z").routed.time > NOW_US
    strict = cleaner(future_tolerance_seconds=0)
    assert fault({"identifiers": {"crm": 1}}, of=strict, time="2026-11-22T10:00:01Z")[0] is DeadCode.FUTURE_TIME


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"identifiers": None}, (DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers")),
        ({"identifiers": {}}, (DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers")),
        ({"identifiers": {"email": None, "crm": [None]}}, (DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers")),
        ({"identifiers": {"crm": "null", "ip": "::1"}}, (DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers")),
        ({"identifiers": {"crm": "x" * 257}}, (DeadCode.IDENTIFIER_TOO_LONG, "/data/identifiers/crm")),
        ({"identifiers": {"crm": ["1", "x" * 257]}}, (DeadCode.IDENTIFIER_TOO_LONG, "/data/identifiers/crm/1")),
        ({"identifiers": {"session": "x" * 257}}, (DeadCode.IDENTIFIER_TOO_LONG, "/data/identifiers/session")),
        ({"identifiers": {"Email": "a@x.example"}}, (DeadCode.WRONG_ATTRIBUTE, "/data/identifiers/Email")),
        (
            {"identifiers": {"crm": [*map(str, range(IDENTIFIERS_MAX)), "null"]}},
            (DeadCode.TOO_MANY_IDENTIFIERS, "/data/identifiers"),
        ),
        ({"traits": {f"t{n}": n for n in range(TRAITS_MAX + 1)}}, (DeadCode.TOO_MANY_TRAITS, "/data/traits")),
        ({"traits": {"bio": "x" * 1024}}, (DeadCode.TRAIT_TOO_LARGE, "/data/traits/bio")),
        ({"traits": {"": 1}}, (DeadCode.WRONG_ATTRIBUTE, "/data/traits/")),
        ({"traits": {"n" * 65: 1}}, (DeadCode.WRONG_ATTRIBUTE, "/data/traits/" + "n" * 65)),
        ({"session": "x" * 257}, (DeadCode.WRONG_ATTRIBUTE, "/data/session")),
        ({"refs": [{"kind": "a", "id": "1"}] * 17}, (DeadCode.WRONG_ATTRIBUTE, "/data/refs")),
        ({"refs": [{"kind": "a", "id": ""}]}, (DeadCode.WRONG_ATTRIBUTE, "/data/refs/0")),
        ({"refs": [{"kind": "a", "id": "x" * 257}]}, (DeadCode.WRONG_ATTRIBUTE, "/data/refs/0")),
        (
            {"permissions": {"email": {f"p{n}": True for n in range(33)}}},
            (DeadCode.WRONG_ATTRIBUTE, "/data/permissions"),
        ),
        ({"permissions": {"email": {"": True}}}, (DeadCode.WRONG_ATTRIBUTE, "/data/permissions/email")),
        ({"groups": {"Company": "a"}}, (DeadCode.WRONG_ATTRIBUTE, "/data/groups/Company")),
        ({"groups": {"company": "x" * 257}}, (DeadCode.WRONG_ATTRIBUTE, "/data/groups/company")),
        ({"groups": {"company": [*map(str, range(17))]}}, (DeadCode.WRONG_ATTRIBUTE, "/data/groups")),
    ],
)
def test_each_limit_of_data_has_its_code_and_pointer(data: dict[str, Any], expected: tuple[DeadCode, str]) -> None:
    assert fault({"identifiers": {"crm": "1"}, **data}) == expected


def test_as_many_as_allowed_are_allowed() -> None:
    cleaned = clean(
        {
            "identifiers": {"crm": [*map(str, range(1, IDENTIFIERS_MAX + 1))]},
            "traits": {f"t{n}": "x" * 1022 for n in range(TRAITS_MAX)},
            "refs": [{"kind": "a", "id": str(n)} for n in range(16)],
        }
    )
    assert len(cleaned.identifiers) == IDENTIFIERS_MAX
    assert len(cleaned.routed.traits) == TRAITS_MAX


IDENTIFIERS = st.dictionaries(
    st.sampled_from([*(kind.name for kind in DEFAULT_POLICY.kinds), "badge"]) | st.text(max_size=5),
    st.text(max_size=30) | st.integers() | st.lists(st.text(max_size=12) | st.none(), max_size=5) | st.none(),
    max_size=5,
)
CLEANER = cleaner()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(IDENTIFIERS, st.dictionaries(st.sampled_from(["traits", "refs", "permissions", "groups", "summary"]), JSON))
def test_no_event_crashes_the_cleaner(identifiers: dict[str, Any], others: dict[str, Any]) -> None:
    try:
        cleaned = clean({"identifiers": identifiers, **others}, of=CLEANER)
    except EventError:
        return
    assert routing(cleaned).kind in identifiers
    assert len(cleaned.identifiers) != 1
    assert len({each.fragment for each in cleaned.identifiers}) == len(cleaned.identifiers)


_SOURCES = SourceRegistry(
    {
        "crm-north": Source(channel="crm", rank=9, grades={"*": "record"}, realm="brand", namespace="north"),
        "crm-south": Source(channel="crm", rank=9, grades={"*": "record"}, namespace="south"),
        "app": Source(channel="app", grades={"login.done": "login", "*": "claimed"}),
        "shop": Source(),
    }
)
_MENTIONS = st.fixed_dictionaries(
    {},
    optional={
        "crm": st.sampled_from(["1", " 1", "2"]),
        "email": st.sampled_from(["a@example.com", "A@Example.com ", "info@example.com", ["b@example.com", None]]),
        "phone": st.sampled_from(["+31201234567", "020 1234567"]),
        "cookie": st.sampled_from(["c-1", "C-1", 1, "1"]),
        "ip": st.just("10.0.0.1"),
        "company": st.sampled_from(["ACME", "ACME "]),
    },
)


@settings(max_examples=60)
@given(
    events=st.lists(
        st.tuples(st.sampled_from(sorted(_SOURCES.sources)), st.sampled_from(["login.done", "other"]), _MENTIONS),
        min_size=1,
        max_size=20,
    ),
    cached_identifiers_max=st.sampled_from([1, 2, 3]),
    phone_region=st.sampled_from(["NL", "DE"]),
)
def test_what_was_resolved_before_and_what_was_forgotten_changes_no_event(
    events: list[tuple[str, str, dict[str, Any]]], cached_identifiers_max: int, phone_region: str
) -> None:
    """Neither from another source, with its realm and namespace, nor by another policy, nor once it was forgotten."""
    policy = msgspec.structs.replace(
        DEFAULT_POLICY, phone_region=phone_region, unlinkable=("info@example.com",) if phone_region == "DE" else ()
    )

    def of(**options: Any) -> Cleaner:
        return Cleaner(policy=policy, registry=_SOURCES, keyring=KEYRING, channels=DEFAULT_CHANNELS, **options)

    def outcome(of: Cleaner, event: tuple[str, str, dict[str, Any]]) -> Cleaned | tuple[DeadCode, str]:
        source, event_type, identifiers = event
        channel = _SOURCES.source(source).channel or "web"
        try:
            return clean({"identifiers": identifiers}, of=of, topic_channel=channel, source=source, type=event_type)
        except EventError as error:
            return error.code, error.pointer

    lasting, forgetful = of(), of(cached_identifiers_max=cached_identifiers_max)
    for event in events:
        fresh = outcome(of(), event)
        assert outcome(lasting, event) == outcome(forgetful, event) == fresh
        if isinstance(fresh, Cleaned):
            assert fresh.grade is fresh.source.grade(event[1])
