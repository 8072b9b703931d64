"""What enrichment makes of traits, written a second time, for the traits and the countries that events here have.

A context shows the comparable form and what is derived from it. Nothing of the program's own enrichers is used, nor
the libraries behind them; a number or name that these rules don't cover is an error rather than a guess.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

#: What is derived from a trait, and is trusted and withdrawn as it is.
DERIVED: Final = {"email": ("email_domain", "email_free"), "phone": ("phone_region",)}
_NAMES: Final = ("first_name", "last_name", "name", "nickname", "city", "country", "company")
_COUNTRY_CODES: Final = {"+31": "NL", "+32": "BE"}
_OFFSET_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
# Events here have no address at a provider where anybody can have one.
_DOMAINS: Final = re.compile(r".*\bexample(\.com|\.org|\.net)?")


def enriched_traits(traits: Mapping[str, Any]) -> dict[str, Any]:
    """The traits of one event as its context shows them.

    Raises:
        ValueError: the value is one that these rules don't cover.
    """
    shown: dict[str, Any] = {}
    derived: dict[str, Any] = {}
    for name, value in traits.items():
        if name == "phone":
            shown[name], derived["phone_region"] = _phone(value, traits.get("country"))
        elif name == "email":
            shown[name], derived["email_domain"] = _email(value)
            derived["email_free"] = None if value is None else False
        elif name in _NAMES and value is not None:
            shown[name] = " ".join(unicodedata.normalize("NFC", value).split())
        elif isinstance(value, str) and _OFFSET_TIME.fullmatch(value):
            moment = datetime.fromisoformat(value).astimezone(UTC)
            shown[name] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        else:
            shown[name] = value
    return derived | shown


def _phone(value: str | None, country: str | None) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    digits = re.sub(r"[^0-9+]", "", value)
    if digits.startswith("0"):
        codes = [code for code, region in _COUNTRY_CODES.items() if region == country]
        if not codes:
            raise ValueError("a national number of an event that names no country that is known here")
        digits = codes[0] + digits[1:]
    if digits[:3] not in _COUNTRY_CODES:
        raise ValueError("a number of a country that is not known here")
    return digits, _COUNTRY_CODES[digits[:3]]


def _email(value: str | None) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    local, _, domain = value.strip().partition("@")
    if not _DOMAINS.fullmatch(domain.lower()):
        raise ValueError("an address of a domain that is not known here")
    return f"{local}@{domain.lower()}", domain.lower()
