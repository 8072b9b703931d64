"""E-mail addresses with their domain in the form that mail goes to, and whether anybody can have one there.

Nothing is asked of the network: an address that reads well may have no mailbox. The part before the @ keeps its
letters, as only its own mail server knows whether capitals matter; identifiers are compared without them.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import CACHED_READINGS_MAX, NOTHING, Enricher, Reading

TRAITS: Final = (
    "email", "emailaddress", "mail", "mailaddress", "primaryemail", "workemail", "businessemail", "personalemail",
    "privateemail", "billingemail", "secondaryemail", "otheremail",
)  # fmt: skip
#: What RFC 5321 lets an address have.
TEXT_LENGTH_MAX: Final = 254
#: One domain a line, `#` starts a comment.
FREE_MAIL_FILE: Final = Path(__file__).with_name("free_mail_domains.txt")
#: Domains whose judgement is kept: people have new addresses, at domains that are known.
CACHED_DOMAINS_MAX: Final = 8_192
_NO_ADDRESS: Final = Reading(failed="no e-mail address")
# Addresses of which the library changes nothing before the @, and judges nothing but the domain, unless they are those
# of an office; it takes a hundred times as long as this.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN: Final = re.compile(rf"((?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*)@([A-Za-z0-9.-]+)", re.ASCII)
_OFFICES: Final = frozenset(CASE_INSENSITIVE_MAILBOX_NAMES)
_PUNYCODE: Final = "xn--"


def load_free_mail_domains(path: Path = FREE_MAIL_FILE) -> frozenset[str]:
    """Domains of providers where anybody can have a mailbox."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def enricher() -> Enricher:
    """Reads traits whose name says e-mail."""
    free_mail_domains = load_free_mail_domains()

    @lru_cache(maxsize=CACHED_READINGS_MAX)
    def read(text: str, _region: str) -> Reading:
        trimmed = text.strip()
        if not trimmed:
            return NOTHING
        if len(trimmed) > TEXT_LENGTH_MAX:
            return _NO_ADDRESS
        address = _plain_address(trimmed) or _address(trimmed)
        if address is None:
            return _NO_ADDRESS
        local, domain = address
        normal = f"{local}@{domain}"
        return Reading(None if normal == text else normal, {"domain": domain, "free": domain in free_mail_domains})

    return Enricher(EnricherName.EMAIL, read, TRAITS, text_only=True)


def _plain_address(text: str) -> tuple[str, str] | None:
    """As `_address`, of one that is plainly written; None for any other, which says nothing about it."""
    match = _PLAIN.fullmatch(text)
    if match is None or match[1].lower() in _OFFICES or _PUNYCODE in match[2].lower():
        return None
    domain = _domain(match[2])
    return None if domain is None else (match[1], domain)


@lru_cache(maxsize=CACHED_DOMAINS_MAX)
def _domain(text: str) -> str | None:
    address = _address(f"a@{text}")
    return None if address is None else address[1]


def _address(text: str) -> tuple[str, str] | None:
    """What stands before the @, and the domain in ASCII and small letters; None where it is no address."""
    try:
        # Names that are reserved for tests are as well written as others.
        address = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        # The library's own words repeat parts of the address.
        return None
    return address.local_part, address.ascii_domain.lower()
