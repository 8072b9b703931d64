"""Phone numbers: as people of many countries write them, to E.164, region and sort."""

import pytest

from schemas.enrichment.phone import TEXT_LENGTH_MAX, read, region_of

NUMBERS = [
    ("020-123 45 67", "NL", "+31201234567", "NL", "fixed"),
    ("06-12345678", "NL", "+31612345678", "NL", "mobile"),
    ("0031612345678", "NL", "+31612345678", "NL", "mobile"),
    ("31612345678", "NL", "+31612345678", "NL", "mobile"),
    ("0800 0432", "NL", "+318000432", "NL", "toll_free"),
    ("٠٦١٢٣٤٥٦٧٨", "NL", "+31612345678", "NL", "mobile"),
    ("+31 (0)20 123 45 67", "", "+31201234567", "NL", "fixed"),
    ("tel:+31-20-123-4567", "", "+31201234567", "NL", "fixed"),
    ("+44 20 7946 0958", "", "+442079460958", "GB", "fixed"),
    ("020 7946 0958", "GB", "+442079460958", "GB", "fixed"),
    ("0475/12.34.56", "BE", "+32475123456", "BE", "mobile"),
    ("030 901820", "DE", "+4930901820", "DE", "fixed"),
    ("06 12 34 56 78", "FR", "+33612345678", "FR", "mobile"),
    ("(212) 555-0123", "US", "+12125550123", "US", "fixed_or_mobile"),
    ("1-800-FLOWERS", "US", "+18003569377", "US", "toll_free"),
    ("+1 (868) 622-1234", "", "+18686221234", "TT", "fixed"),
    ("+91 98765 43210", "", "+919876543210", "IN", "mobile"),
    ("+86 138 0013 8000", "", "+8613800138000", "CN", "mobile"),
    ("03-1234-5678", "JP", "+81312345678", "JP", "fixed"),
    ("+55 11 91234-5678", "", "+5511912345678", "BR", "mobile"),
    ("+48 512 345 678", "NL", "+48512345678", "PL", "mobile"),
]


@pytest.mark.parametrize(("text", "region", "normal", "of", "sort"), NUMBERS)
def test_a_number_is_read_as_its_country_writes_it(text: str, region: str, normal: str, of: str, sort: str) -> None:
    reading = read(text, region)
    assert reading.value == normal
    assert reading.found == {"region": of, "type": sort, "valid": True}
    # What is comparable stays as it is, in any region.
    assert read(normal, "JP") == (None, reading.found, None)


def test_an_extension_is_found_and_left_out() -> None:
    reading = read("+31 20 123 4567 ext. 12", "")
    assert reading.value == "+31201234567"
    assert reading.found is not None
    assert reading.found["extension"] == "12"


def test_a_number_that_the_plan_does_not_have_is_said_to_be_none() -> None:
    assert read("+31 600000000", "") == ("+31600000000", {"region": "NL", "valid": False}, None)


def test_a_number_of_no_country_has_no_region() -> None:
    assert read("+80012345678", "NL").found == {"type": "toll_free", "valid": True}


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("0612345678", ""), ("112", "NL"), ("anonymous", "NL"), ("+", ""), ("+999123456789", ""), ("\ud800", "NL"),
        ("+3161234567890123", ""), ("0600000000", "NL"), ("+31612345678 or 0201234567", "NL"),
        ("1" * (TEXT_LENGTH_MAX + 1), "NL"),
    ],
)  # fmt: skip
def test_what_is_no_whole_number_fails_without_being_repeated(text: str, region: str) -> None:
    reading = read(text, region)
    assert (reading.value, reading.found) == (None, None)
    assert reading.failed == "no phone number, or one that lacks its country's code"


def test_an_empty_text_is_no_fault() -> None:
    assert read("  ", "NL") == (None, None, None)


@pytest.mark.parametrize(("country", "region"), [("nl", "NL"), (" DE ", "DE"), ("Nederland", ""), ("XX", ""), ("", "")])
def test_a_region_is_a_country_s_two_letters(country: str, region: str) -> None:
    assert region_of(country) == region
