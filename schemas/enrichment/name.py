"""Names of people, companies and places: composed letters (NFC), no white space around, single blanks within.

Capitals stay as they are: van Gogh, MacDonald and ACME know best.
"""

import unicodedata
from typing import Final

from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import NOTHING, Enricher, Reading

TRAITS: Final = (
    "name", "fullname", "displayname", "firstname", "givenname", "middlename", "lastname", "familyname", "surname",
    "maidenname", "nickname", "title", "jobtitle", "company", "companyname", "organisation", "organization",
    "employer", "department", "street", "city", "town", "country",
)  # fmt: skip


def read(text: str, _region: str) -> Reading:
    """The name, tidied; one that is all white space stays what it is."""
    normal = unicodedata.normalize("NFC", " ".join(text.split()))
    return NOTHING if normal == text or not normal else Reading(normal)


def enricher() -> Enricher:
    """Reads traits whose name says name, or what is written like one."""
    return Enricher(EnricherName.NAME, read, TRAITS)
