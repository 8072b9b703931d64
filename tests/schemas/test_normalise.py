# ruff: noqa: RUF001 (look-alikes are what some of these tests are about)
"""Values made comparable: what is one person's typed two ways becomes one, what identifies nobody is gone."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import DeadCode, EventError
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Case, Extension, Kind, LookAlikes, Normaliser, Policy, Strength
from schemas.normalise import Patterns, identify, is_kind_name, normalise

DUTCH = Policy(kinds=DEFAULT_POLICY.kinds, drop=DEFAULT_POLICY.drop, phone_region="NL")


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        ("email", " Ann@Example.COM ", "ann@example.com"),
        ("email", "ann+shop@example.com", "ann+shop@example.com"),
        ("email", "a.n.n@example.com", "a.n.n@example.com"),
        ("email", "ann@exämple.com", "ann@xn--exmple-cua.com"),
        ("email", "ann@XN--EXMPLE-CUA.com", "ann@xn--exmple-cua.com"),
        ("email", "zoe\u0308@example.com", "zoë@example.com"),
        ("email", "ann@example.com.", "ann@example.com"),
        ("email", "ann@mail_host.example.com", "ann@mail_host.example.com"),
        ("email", "ann", None),
        ("email", "@example.com", None),
        ("email", "ann@", None),
        ("email", "ann@@example.com", None),
        ("email", "ann smith@example.com", None),
        ("email", "Ann <ann@example.com>", None),
        ("email", ".ann@example.com", None),
        ("email", "ann@-example.com", None),
        ("email", "ann@_bad host", None),
        ("email", "ann@exa mple.com", None),
        ("email", "a" * 65 + "@example.com", None),
        ("email", "noreply@example.com", None),
        ("phone", "020-123 45 67", "+31201234567"),
        ("phone", "+31 (0)20 123 4567", "+31201234567"),
        ("phone", "0031201234567", "+31201234567"),
        ("phone", "tel:+31-20-1234567;ext=12", "+31201234567"),
        ("phone", "+31201234567 ext. 12", "+31201234567"),
        ("phone", "+1 650 253 0000", "+16502530000"),
        ("phone", "112", None),
        ("phone", "1234567", None),
        ("phone", "anonymous", None),
        ("phone", "withheld", None),
        ("phone", "+266696687", None),
        ("phone", "+" * 300, None),
        ("loyalty", "NL 1234-5678", "12345678"),
        ("loyalty", "0000", None),
        ("loyalty", "none at all", None),
        ("social", "Facebook: Ann.Smith ", "facebook:Ann.Smith"),
        ("social", "ann.smith", None),
        ("social", "facebook:", None),
        ("device", "{6BA7B810-9DAD-11D1-80B4-00C04FD430C8}", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("device", "6ba7b8109dad11d180b400c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("device", "00000000-0000-0000-0000-000000000000", None),
        ("device", " SN-77 ", "sn-77"),
        ("national_id", "11122 2333", "111222333"),
        ("national_id", "10000007", None),
        ("national_id", "010000008", "010000008"),
        ("national_id", "111222334", None),
        ("national_id", "000000000", None),
        ("national_id", "1234567890", None),
        ("cookie", " c-77 ", "c-77"),
        ("cookie", "C-77", "C-77"),
        ("crm", " 8812\u00a0", "8812"),
        ("crm", "e\u0301", "é"),
        ("crm", "   ", None),
        ("crm", "NULL", None),
        ("crm", "Unknown", None),
        ("something", "e\u0301", "é"),
    ],
)
def test_each_kind_has_its_comparable_form(kind: str, value: str, normal: str | None) -> None:
    assert normalise(DUTCH.kind(kind), value, DUTCH) == normal


@pytest.mark.parametrize(
    ("normaliser", "rules", "value", "normal"),
    [
        ("email", {"plus": ("*",)}, "ann+shop+x@x.example", "ann@x.example"),
        ("email", {"plus": ("gmail.com",)}, "ann+shop@x.example", "ann+shop@x.example"),
        ("email", {"plus": ("gmail.com",)}, "Ann+Shop@GMail.com", "ann@gmail.com"),
        ("email", {"plus": ("*",)}, "+shop@x.example", "+shop@x.example"),
        ("email", {"plus": ("*",)}, "ann.+shop@x.example", "ann@x.example"),
        ("email", {"dots": ("gmail.com",)}, "a.n.n@gmail.com", "ann@gmail.com"),
        ("email", {"dots": ("gmail.com",)}, "a.n.n@x.example", "a.n.n@x.example"),
        ("email", {"dots": ("*",), "plus": ("*",)}, "a.n.n+x.y@x.example", "ann@x.example"),
        ("email", {}, "аnn@x.example", "аnn@x.example"),
        ("email", {"look_alikes": "fold"}, "аnn@x.example", "ann@x.example"),
        ("email", {"look_alikes": "fold"}, "ann@exаmple.com", "ann@example.com"),
        ("email", {"look_alikes": "fold"}, "ann@xn--exmple-4nf.com", "ann@example.com"),
        ("email", {"look_alikes": "fold", "plus": ("gmail.com",)}, "ann+x@gmаil.com", "ann@gmail.com"),
        ("email", {"look_alikes": "fold"}, "Вob@x.example", "bob@x.example"),
        ("email", {"look_alikes": "fold"}, "анна@x.example", "анна@x.example"),
        ("email", {"look_alikes": "fold"}, "annж@x.example", "annж@x.example"),
        ("email", {"look_alikes": "drop"}, "аnn@x.example", None),
        ("email", {"look_alikes": "drop"}, "ann@exаmple.com", None),
        ("email", {"look_alikes": "drop"}, "annж@x.example", None),
        ("email", {"look_alikes": "drop"}, "анна.smith@x.example", "анна.smith@x.example"),
        ("email", {"look_alikes": "drop"}, "anné@exämple.com", "anné@xn--exmple-cua.com"),
        ("text", {"look_alikes": "fold"}, "ＡВ-12", "AB-12"),
        ("text", {"look_alikes": "drop"}, "АB12", None),
        ("text", {"case": "fold"}, "AB12", "ab12"),
        ("text", {"case": "fold"}, "Straße", "strasse"),
        ("trim", {"case": "fold"}, "C-77", "c-77"),
        ("platform", {"case": "fold"}, "Facebook: Ann", "facebook:ann"),
        ("platform", {"look_alikes": "drop"}, "facebook:Анна", "facebook:Анна"),
        ("phone", {}, "+31 20 123 4567 ext. 12", "+31201234567"),
        ("phone", {"extension": "keep"}, "+31 20 123 4567 ext. 12", "+31201234567;ext=12"),
        ("phone", {"extension": "keep"}, "tel:+31-20-1234567;ext=12", "+31201234567;ext=12"),
        ("phone", {"extension": "keep"}, "+31201234567", "+31201234567"),
    ],
)
def test_rules_that_are_off_by_default(normaliser: str, rules: dict[str, Any], value: str, normal: str | None) -> None:
    kind = msgspec.convert({"name": "some", "strength": 2, "normaliser": normaliser, **rules}, Kind)
    assert normalise(kind, value, DUTCH) == normal


def test_a_national_phone_number_needs_a_region() -> None:
    assert normalise(DEFAULT_POLICY.kind("phone"), "020-1234567", DEFAULT_POLICY) is None
    assert normalise(DEFAULT_POLICY.kind("phone"), "+31 20 1234567", DEFAULT_POLICY) == "+31201234567"


RULES = st.fixed_dictionaries(
    {
        "plus": st.sampled_from([(), ("*",), ("gmail.com",)]),
        "dots": st.sampled_from([(), ("*",), ("gmail.com",)]),
        "extension": st.sampled_from(Extension),
        "case": st.sampled_from(Case),
        "look_alikes": st.sampled_from(LookAlikes),
    }
)
# Few letters, many of them look-alikes, dots and pluses, so that rules meet each other.
MEAN = st.text("aаB.+@: \u0301ßİϒ\u0345ſﬁ１éжΑx", max_size=14)
NUMBERS = st.from_regex(r"\+?[0-9 ()-]{3,18}( ?(x|ext\.?|;ext=)[0-9]{0,8})?", fullmatch=True)
ADDRESSES = st.builds(
    "{}@{}".format,
    MEAN,
    st.sampled_from(["gmail.com", "GMAIL.com.", "gmаil.com", "xn--gmil-63d.com", "пример.рф", "exämple.com"]),
)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(Normaliser), RULES, st.text(max_size=40) | st.emails() | MEAN | ADDRESSES | NUMBERS)
def test_normalising_twice_is_normalising_once(normaliser: Normaliser, rules: dict[str, Any], value: str) -> None:
    kind = Kind("some", Strength.MEDIUM, normaliser, **rules)
    normal = normalise(kind, value, DUTCH)
    assert normal is None or normalise(kind, normal, DUTCH) == normal


@settings(deadline=None)
@given(st.from_regex(r"\+?[0-9 ()-]{3,18}", fullmatch=True))
def test_phone_numbers_normalise_once_and_for_all(value: str) -> None:
    normal = normalise(DUTCH.kind("phone"), value, DUTCH)
    assert normal is None or normalise(DUTCH.kind("phone"), normal, DUTCH) == normal


def test_a_list_names_values_for_all_kinds_or_for_one() -> None:
    patterns = Patterns(["Test", "email:*@example.org", "phone:+31800*", "crm:0000"])
    assert patterns.match("crm", "TEST")
    assert patterns.match("email", "sales@example.org")
    assert patterns.match("phone", "+318001234")
    assert patterns.match("crm", "0000")
    assert not patterns.match("account", "0000")
    assert not patterns.match("email", "sales@example.org.evil.example")
    assert not patterns.match("account", "sales@example.org")


def test_an_identifier_keeps_its_namespace_only_where_its_kind_has_one() -> None:
    policy = DEFAULT_POLICY
    assert identify(policy.kind("crm"), "8812", policy, "brand", "north") == Identifier("crm", "8812", "north", "brand")
    assert identify(policy.kind("cookie"), "c", policy, "brand", "north") == Identifier(
        "cookie", "c", "default", "brand"
    )
    assert identify(policy.kind("crm"), "null", policy) is None


@pytest.mark.parametrize("value", ["x" * 257, "ﬃ" + "\u0958" * 255])
def test_a_value_that_is_or_becomes_too_long_is_refused(value: str) -> None:
    with pytest.raises(EventError) as caught:
        identify(DEFAULT_POLICY.kind("crm"), value, DEFAULT_POLICY)
    assert caught.value.code is DeadCode.IDENTIFIER_TOO_LONG


def test_a_long_run_of_spaces_is_no_length() -> None:
    assert identify(DEFAULT_POLICY.kind("crm"), " " * 300 + "8812", DEFAULT_POLICY) == Identifier("crm", "8812")


def test_names_of_kinds() -> None:
    assert all(map(is_kind_name, ("crm", "national_id", "a.b-c9", "x" * 32)))
    assert not any(map(is_kind_name, ("", "Email", "9a", "_a", "a b", "é", "x" * 33, "a\n")))
