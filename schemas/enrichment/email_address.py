"""E-mail addresses with their domain in the form that mail goes to, and whether anybody can have one there.

Nothing is asked of the network: an address that reads well may have no mailbox. The part before the @ keeps its
letters, as only its own mail server knows whether capitals matter; identifiers are compared without them.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

from email_validator import EmailNotValidError, validate_email

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
_NO_ADDRESS: Final = Reading(failed="no e-mail address")


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
        try:
            # Names that are reserved for tests are as well written as others.
            address = validate_email(trimmed, check_deliverability=False, test_environment=True)
        except EmailNotValidError:
            # The library's own words repeat parts of the address.
            return _NO_ADDRESS
        domain = address.ascii_domain.lower()
        normal = f"{address.local_part}@{domain}"
        return Reading(None if normal == text else normal, {"domain": domain, "free": domain in free_mail_domains})

    return Enricher(EnricherName.EMAIL, read, TRAITS, text_only=True)
