"""Phone numbers to E.164, with their region, their sort, and whether the numbering plan has them.

A number without its country's code is read in the region of its event: the country that the event names, or else the
policy's `phone_region`. Only one that the plan of that region has is taken for whole.
"""

from functools import lru_cache
from typing import Any, Final

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType, ValidationResult

from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import CACHED_READINGS_MAX, NOTHING, Enricher, Reading

TRAITS: Final = (
    "phone", "phonenumber", "mobile", "mobilephone", "mobilenumber", "cell", "cellphone", "telephone",
    "telephonenumber", "tel", "landline", "homephone", "workphone", "businessphone", "officephone", "whatsapp", "fax",
)  # fmt: skip
#: The longest number has 15 digits; people add blanks, brackets and an extension.
TEXT_LENGTH_MAX: Final = 64
_REGION_LENGTH: Final = 2
_NO_NUMBER: Final = Reading(failed="no phone number, or one that lacks its country's code")
_SORTS: Final = {
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "company",
    PhoneNumberType.VOICEMAIL: "voicemail",
}


def region_of(country: str) -> str:
    """The region of a country's two letters, or an empty text where they are none."""
    region = country.strip().upper()
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""


@lru_cache(maxsize=CACHED_READINGS_MAX)
def read(text: str, region: str) -> Reading:
    """The number in E.164, without its extension, and what the numbering plans say about it."""
    trimmed = text.strip()
    if not trimmed:
        return NOTHING
    if len(trimmed) > TEXT_LENGTH_MAX:
        return _NO_NUMBER
    try:
        number = phonenumbers.parse(trimmed, region or None)
    except phonenumbers.NumberParseException:
        return _NO_NUMBER
    valid = phonenumbers.is_valid_number(number)
    whole = trimmed.startswith(("+", "tel:+")) or valid
    if not whole or phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return _NO_NUMBER
    found: dict[str, Any] = {"valid": valid}
    of_number = phonenumbers.region_code_for_number(number)
    # Numbers of no country, such as +800, have three digits there.
    if of_number is not None and len(of_number) == _REGION_LENGTH:
        found["region"] = of_number
    if sort := _SORTS.get(phonenumbers.number_type(number)):
        found["type"] = sort
    if number.extension:
        found["extension"] = number.extension
    normal: str = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return Reading(None if normal == text else normal, found)


def enricher() -> Enricher:
    """Reads traits whose name says phone."""
    return Enricher(EnricherName.PHONE, read, TRAITS, text_only=True)
