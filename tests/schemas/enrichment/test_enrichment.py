"""All enrichers over whole events: what changes, what can't, and that nothing in an event makes them fail."""

from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import ENRICHERS, EnricherName, enricher_names, with_derived
from schemas.enrichment.reading import Reading
from schemas.enrichment.registry import REGISTRY
from schemas.event import encode_structured, parse_structured
from schemas.limits import TRAIT_SIZE_BYTES_MAX, TRAITS_MAX
from tests.schemas.enrichment.events import IPHONE, clean, event


def enrich(enrichment: Enrichment, data: dict[str, Any], time: str = "2026-11-22T10:00:00Z") -> tuple[Any, Any]:
    """The traits and the findings, decoded."""
    parsed = event(data, time)
    traits, enriched = enrichment.enrich(clean(parsed).routed, parsed.time_text)
    shown = {name: msgspec.json.decode(value) for name, value in traits.items()}
    return shown, msgspec.json.decode(enriched) if enriched else {}


def test_everything_that_an_event_says_is_read(enrichment: Enrichment) -> None:
    data = {
        "traits": {
            "phone": "020-123 45 67", "country": "nl", "email": "Ann@GMail.com", "firstName": " Ann ",
            "subscribed_at": "2026-11-22T12:00:00+02:00", "shoe_size": 40,
        },
        "text": "Waar blijft mijn pakket?", "summary": "Asked where the parcel is", "user_agent": IPHONE,
    }  # fmt: skip
    traits, findings = enrich(enrichment, data, "2026-11-22T11:30:00+01:30")
    assert traits == {
        "phone": "+31201234567", "phone_region": "NL", "country": "nl", "email": "Ann@gmail.com",
        "email_domain": "gmail.com", "email_free": True, "firstName": "Ann",
        "subscribed_at": "2026-11-22T10:00:00Z", "shoe_size": 40,
    }  # fmt: skip
    score = findings["language"].pop("score")
    assert score > 0.9
    assert findings == {
        "phone": {"trait": "phone", "region": "NL", "type": "fixed", "valid": True},
        "email": {"trait": "email", "domain": "gmail.com", "free": True},
        "time": {"original": "2026-11-22T11:30:00+01:30"},
        "device": {"class": "phone", "browser": "Mobile Safari", "os": "iOS", "field": "user_agent"},
        "language": {"code": "nl", "field": "text"},
        "original": {
            "/data/traits/phone": "020-123 45 67", "/data/traits/email": "Ann@GMail.com",
            "/data/traits/firstName": " Ann ", "/data/traits/subscribed_at": "2026-11-22T12:00:00+02:00",
        },
    }  # fmt: skip


def test_an_event_without_anything_to_find_stays_as_it_is(enrichment: Enrichment) -> None:
    routed = clean(event({"traits": {"shoe_size": 40}, "text": "ok"})).routed
    traits, enriched = enrichment.enrich(routed, "2026-11-22T10:00:00Z")
    assert traits is routed.traits
    assert enriched == b""


def test_the_region_is_the_event_s_country_or_else_the_policy_s() -> None:
    enrichment = Enrichment(["phone"], phone_region="NL")
    assert enrich(enrichment, {"traits": {"phone": "06-12345678"}})[0]["phone"] == "+31612345678"
    said = {"traits": {"phone": "0475 12 34 56", "countryCode": "BE"}}
    assert enrich(enrichment, said)[0]["phone"] == "+32475123456"
    said = {"traits": {"phone": "06-12345678", "country": "Nederland"}}
    assert enrich(enrichment, said)[0]["phone"] == "+31612345678"


def test_a_number_that_came_as_a_number_is_read() -> None:
    traits, findings = enrich(Enrichment(["phone"], phone_region="NL"), {"traits": {"phone": 31612345678}})
    assert traits["phone"] == "+31612345678"
    assert findings["original"] == {"/data/traits/phone": "31612345678"}


def test_the_agent_of_a_browser_s_library_is_found(enrichment: Enrichment) -> None:
    places: dict[str, dict[str, Any]] = {
        "userAgent": {"userAgent": IPHONE},
        "context.userAgent": {"context": {"userAgent": IPHONE, "ip": "192.0.2.7"}},
        "context.user_agent": {"user_agent": 7, "context": {"user_agent": IPHONE}},
    }
    for place, data in places.items():
        assert enrich(enrichment, data)[1]["device"]["field"] == place


def test_the_first_text_that_is_enough_gives_the_language(enrichment: Enrichment) -> None:
    data = {"text": "ok", "message": {"no": "text"}, "body": "Waar blijft mijn pakket?", "summary": "Wrote to us"}
    assert enrich(enrichment, data)[1]["language"]["field"] == "body"
    data = {"text": "ok", "summary": "Wrote about the warranty of a tent"}
    language = enrich(enrichment, data)[1]["language"]
    assert (language["code"], language["field"]) == ("en", "summary")


def test_the_first_of_several_traits_is_told_first(enrichment: Enrichment) -> None:
    said = {"traits": {"mobile": "+31612345678", "fax": "+32 2 555 12 12", "phone": "+442079460958"}}
    phone = enrich(enrichment, said)[1]["phone"]
    assert (phone["trait"], phone["region"]) == ("phone", "GB")
    assert {trait: found["region"] for trait, found in phone["also"].items()} == {"mobile": "NL", "fax": "BE"}


def test_what_is_derived_is_withdrawn_with_its_origin(enrichment: Enrichment) -> None:
    said = {"traits": {"email": None, "phone": None}}
    assert enrich(enrichment, said) == (
        {"email": None, "email_domain": None, "email_free": None, "phone": None, "phone_region": None},
        {},
    )


@pytest.mark.parametrize("value", ["not an address", 7, {"work": "ann@example.com"}, ["ann@example.com"]])
def test_what_can_not_be_read_is_marked_and_leaves_nothing_derived(enrichment: Enrichment, value: Any) -> None:
    traits, findings = enrich(enrichment, {"traits": {"email": value}})
    assert traits == {"email": value, "email_domain": None, "email_free": None}
    assert set(findings) == {"failed"}
    assert findings["failed"]["/data/traits/email"] in {"no e-mail address", "no text"}


def test_other_addresses_derive_nothing(enrichment: Enrichment) -> None:
    assert enrich(enrichment, {"traits": {"work_email": "ann@example.com", "mobile": "+31612345678"}})[0].keys() == {
        "work_email",
        "mobile",
    }


def test_an_event_that_says_itself_what_would_be_derived_is_believed(enrichment: Enrichment) -> None:
    said = {"email": "ann@gmail.com", "email_domain": "ours", "email_free": None}
    assert enrich(enrichment, {"traits": said})[0] == said


def test_there_are_never_more_traits_than_an_event_may_have(enrichment: Enrichment) -> None:
    said: dict[str, Any] = {f"t{number}": number for number in range(TRAITS_MAX - 2)}
    traits, findings = enrich(enrichment, {"traits": said | {"email": "ann@gmail.com"}})
    assert len(traits) == TRAITS_MAX
    assert findings["failed"] == {"/data/traits/email_free": "no room for another trait"}


def test_a_birthday_stays_on_its_day(enrichment: Enrichment) -> None:
    said = {"birthday": "1980-05-01T00:00:00+02:00", "date_of_birth": "1980-05-01T00:00:00+02:00"}
    assert enrich(enrichment, {"traits": said}) == (said, {})


def test_a_value_that_grows_past_the_bound_of_a_trait_stays(enrichment: Enrichment) -> None:
    # Composed, this letter becomes two.
    name = "\u0958" * (TRAIT_SIZE_BYTES_MAX // 3 - 1)
    traits, findings = enrich(enrichment, {"traits": {"last_name": name}})
    assert traits == {"last_name": name}
    assert findings == {"failed": {"/data/traits/last_name": "too long in its comparable form"}}


def test_a_library_that_stumbles_marks_the_field_and_the_event_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(text: str, _region: str) -> Reading:
        raise RuntimeError(f"can't read {text}")

    for name in (EnricherName.PHONE, EnricherName.DEVICE):
        broken = replace(REGISTRY[name](), read=stumble)
        monkeypatch.setitem(cast("dict[EnricherName, Any]", REGISTRY), name, lambda broken=broken: broken)
    enrichment = Enrichment()
    data = {"traits": {"phone": "+31 612345678", "first_name": " Ann"}, "user_agent": IPHONE}
    traits, findings = enrich(enrichment, data)
    assert traits == {"phone": "+31 612345678", "phone_region": None, "first_name": "Ann"}
    assert findings["failed"] == {"/data/traits/phone": "RuntimeError", "/data/user_agent": "RuntimeError"}
    assert enrichment.counts["phone", "failed"] == enrichment.counts["device", "failed"] == 1


def test_every_look_is_counted_by_what_came_of_it() -> None:
    enrichment = Enrichment()
    said = {"phone": "+31 612345678", "email": "ann@example.com", "name": "Ann", "work_email": "none", "fax": ""}
    enrich(enrichment, {"traits": said, "summary": "ok"}, "2026-11-22T12:00:00+02:00")
    assert enrichment.counts == {
        ("phone", "changed"): 1, ("phone", "unchanged"): 1, ("email", "found"): 1, ("email", "failed"): 1,
        ("name", "unchanged"): 1, ("time", "found"): 1, ("language", "unchanged"): 1,
    }  # fmt: skip


def test_each_enricher_can_be_switched_off() -> None:
    data = {
        "traits": {
            "phone": "+31 612345678", "email": "Ann@GMAIL.com", "name": " Ann ", "at": "2026-11-22T12:00:00+02:00",
        },
        "user_agent": IPHONE, "summary": "Wrote about the warranty of a tent",
    }  # fmt: skip
    whole = enrich(Enrichment(), data, "2026-11-22T12:00:00+02:00")
    alone = [enrich(Enrichment([name]), data, "2026-11-22T12:00:00+02:00") for name in ENRICHERS]
    assert enrich(Enrichment([]), data, "2026-11-22T12:00:00+02:00") == (data["traits"], {})
    assert all(set(findings) - {"original"} <= {name} for name, (_, findings) in zip(ENRICHERS, alone, strict=True))
    # Together they do what each does by itself.
    together: dict[str, Any] = {}
    originals: dict[str, str] = {}
    for _, findings in alone:
        originals |= findings.pop("original", {})
        together |= findings
    assert together | {"original": originals} == whole[1]


def test_names_of_enrichers_come_in_one_order_and_unknown_ones_with_the_nearest() -> None:
    assert enricher_names(["device", "phone"]) == ("phone", "device")
    assert enricher_names(["none"]) == ()
    with pytest.raises(ValueError, match=r"'phnoe' is no enricher; did you mean phone\?"):
        enricher_names(["phnoe"])
    with pytest.raises(ValueError, match="'none' is no enricher"):
        enricher_names(["phone", "none"])


def test_what_is_derived_is_as_trusted_as_its_origin() -> None:
    assert with_derived(["email", "city"]) == {"email", "email_domain", "email_free", "city"}


def test_the_original_text_of_a_time_survives_the_way_through_collect() -> None:
    sent = event({}, "2026-11-22T12:00:00.50+02:00")
    assert parse_structured(encode_structured(sent)) == sent
    assert sent.time_text == "2026-11-22T12:00:00.50+02:00"
    assert sent.content == event({}, "2026-11-22T10:00:00.5Z").content
