"""The table of identifiers: order, strength, limits, and how values are made comparable."""

import re
import unicodedata
from typing import Final, NamedTuple

IDENTIFYING: Final = 3
MEDIUM: Final = 2
WEAK: Final = 1
CLAIMED: Final = 1
LOGIN: Final = 2
RECORD: Final = 3
GRADES: Final = {"claimed": CLAIMED, "login": LOGIN, "record": RECORD}
GRADE_LABELS: Final = {grade: label for label, grade in GRADES.items()}


class Identifier(NamedTuple):
    """A normalised identifier; identifiers sort by their plain values."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class Row(NamedTuple):
    """A kind: its place (0 the strongest), its strength, whether a customer has but one, and when it is shared.

    `claimed` is the limit of an identifier that nothing but claims links.
    """

    place: int
    strength: int
    unique: bool = False
    limit: int = 0
    claimed: int = 0


_TABLE: Final = {
    "crm": Row(0, IDENTIFYING, unique=True, limit=20, claimed=20),
    "account": Row(1, IDENTIFYING, limit=20, claimed=20),
    "email": Row(2, IDENTIFYING, limit=20, claimed=20),
    "loyalty": Row(4, MEDIUM),
    "social": Row(5, MEDIUM),
    "phone": Row(6, MEDIUM),
    "app": Row(8, WEAK, limit=6),
    "device": Row(9, WEAK, limit=6),
    "cookie": Row(10, WEAK, limit=6),
    "anonymous": Row(11, WEAK, limit=6),
}
_OTHER: Final = Row(7, MEDIUM)
#: Kinds that are shown in `groups`; these and `NO_KINDS` are neither routed by nor evidence.
GROUP_KINDS: Final = ("company", "household")
NO_KINDS: Final = ("session", "ip", "national_id")
_DROPPED: Final = frozenset(
    {
        *("-", "0", "n/a", "na", "nil", "none", "null", "undefined", "unknown"),
        *("anonymous", "anonymous@example.com", "noreply@example.com"),
    }
)


def row(kind: str) -> Row:
    """The kind's row; every kind that the table doesn't have stands between phone and app."""
    return _TABLE.get(kind, _OTHER)


def normalised(kind: str, value: str) -> str:
    """The value as it is compared; empty when it says nothing. National phone numbers are not read."""
    text = unicodedata.normalize("NFC", value).strip()
    if text.casefold() in _DROPPED:
        return ""
    if kind in ("email", "app", "device"):
        return text.lower()
    if kind == "phone":
        bare = re.sub(r"[ ().-]", "", text)
        return bare if re.fullmatch(r"\+[1-9][0-9]{7,14}", bare) else ""
    if kind == "loyalty":
        return re.sub(r"[^0-9]", "", text)
    return text
