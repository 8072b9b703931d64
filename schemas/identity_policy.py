"""The identity policy: the kinds of identifiers in the order of routing and strength, and what is said of values.

`DEFAULT_POLICY` is the tested default; `identity.yaml` may replace it. Order, normalisers and `drop` decide routing:
changing them is a migration. `unlinkable` and the limits may change at any time.
"""

from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Final

import msgspec

from schemas.errors import SettingError

#: People have a handful of logins, addresses and customer numbers; a cluster past this many identifiers is a fault of
#: the data, and every recomputation would walk through it.
CLUSTER_IDENTIFIERS_MAX: Final = 100
#: The kind whose place in the order every unknown kind takes.
OTHER_KIND: Final = "other"


class Strength(IntEnum):
    """How much an identifier of the kind says about who somebody is."""

    NONE = 0
    WEAK = 1
    MEDIUM = 2
    IDENTIFYING = 3


class Grade(IntEnum):
    """How well a link is known."""

    CLAIMED = 1
    LOGIN = 2
    RECORD = 3

    @property
    def label(self) -> str:
        """The word in documents, headers and files."""
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> "Grade":
        """The grade of the word.

        Raises:
            SettingError: there is no such grade.
        """
        try:
            return cls[label.upper()]
        except KeyError:
            raise SettingError(f"grade {label!r} is none of record, login, claimed") from None


#: Labels by a grade's number, which takes a fifth of asking the member. 0 is no grade.
GRADE_LABELS: Final = ("", *(grade.label for grade in Grade))


class Normaliser(StrEnum):
    """How values of a kind are made comparable."""

    TEXT = "text"
    EMAIL = "email"
    PHONE = "phone"
    DIGITS = "digits"
    PLATFORM = "platform"
    UUID = "uuid"
    TRIM = "trim"
    CHECKSUM = "checksum"


class Case(StrEnum):
    """What becomes of upper and lower case in values of text kinds."""

    KEEP = "keep"
    #: `AB12` and `ab12` are one identifier.
    FOLD = "fold"


class Extension(StrEnum):
    """What becomes of the extension of a phone number."""

    DROP = "drop"
    #: Each extension is an identifier of its own, `+31201234567;ext=12`.
    KEEP = "keep"


class LookAlikes(StrEnum):
    """What becomes of letters of other scripts that look like ASCII ones (`schemas.look_alikes`)."""

    KEEP = "keep"
    #: They are read as what they look like.
    FOLD = "fold"
    #: A value that uses them, or mixes scripts within a word, identifies nobody.
    DROP = "drop"


#: In a list of domains: every domain.
ALL_DOMAINS: Final = "*"


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of identifier.

    `shared_from` is the number of neighbours of one kind (identifying kinds) or of customers by claims (weak kinds)
    past which an identifier is shared; 0 is no limit. `claimed_from` is the number of neighbours of one kind, of medium
    strength or stronger, past which an identifier of an identifying kind is shared that nothing but claims links (a
    number that cashiers type where they have none); 0 is no limit. A `namespaced` kind means something within one
    system only.
    """

    name: str
    strength: Strength
    normaliser: Normaliser = Normaliser.TRIM
    unique: bool = False
    shared_from: int = 0
    namespaced: bool = False
    enabled: bool = True
    #: Shown in `groups` of the context, never routed and no evidence.
    group: bool = False
    #: Evidence, but never routed by and never shown.
    hidden: bool = False
    claimed_from: int = 0
    #: Domains of e-mail addresses, or `*`, at which what follows a plus is no part of the address: ann+shop@ is ann@.
    plus: tuple[str, ...] = ()
    #: Domains of e-mail addresses, or `*`, at which dots in the local part mean nothing: a.nn@ is ann@.
    dots: tuple[str, ...] = ()
    extension: Extension = Extension.DROP
    case: Case = Case.KEEP
    look_alikes: LookAlikes = LookAlikes.KEEP


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """All kinds, strongest first, and the two lists of values."""

    kinds: tuple[Kind, ...]
    #: Gone before routing, compared case-folded: what systems write when they know nobody.
    drop: tuple[str, ...] = ()
    #: `kind:value`, or `email:*@domain`: routed, but never evidence (own numbers, role mailboxes, test accounts).
    unlinkable: tuple[str, ...] = ()
    #: Region that a national phone number is read in, such as `NL`; empty reads international numbers only.
    phone_region: str = ""
    #: The most identifiers that links may join into one customer.
    cluster_limit: int = CLUSTER_IDENTIFIERS_MAX

    def kind(self, name: str) -> Kind:
        """The kind of the name; an unknown one counts as medium."""
        position = self._positions.get(name)
        if position is None:
            return Kind(name=name, strength=Strength.MEDIUM, normaliser=Normaliser.TEXT)
        return self.kinds[position]

    def position(self, name: str) -> int:
        """The place of the kind in the order of routing and strength, 0 the strongest.

        An unknown kind takes the place of the kind named `other`, or without one that of the last medium kind.
        """
        return self._positions.get(name, self._unknown_position)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {kind.name: position for position, kind in enumerate(self.kinds)}

    @cached_property
    def _unknown_position(self) -> int:
        mediums = [place for place, kind in enumerate(self.kinds) if kind.strength is Strength.MEDIUM]
        return self._positions.get(OTHER_KIND, mediums[-1] if mediums else len(self.kinds))


_IDENTIFYING, _MEDIUM, _WEAK, _NONE = Strength.IDENTIFYING, Strength.MEDIUM, Strength.WEAK, Strength.NONE

DEFAULT_POLICY: Final = Policy(
    kinds=(
        Kind("crm", _IDENTIFYING, Normaliser.TEXT, unique=True, shared_from=20, namespaced=True, claimed_from=20),
        Kind("account", _IDENTIFYING, Normaliser.TEXT, shared_from=20, claimed_from=20),
        Kind("email", _IDENTIFYING, Normaliser.EMAIL, shared_from=20, claimed_from=20),
        Kind(
            "national_id",
            _IDENTIFYING,
            Normaliser.CHECKSUM,
            unique=True,
            shared_from=2,
            enabled=False,
            hidden=True,
        ),
        Kind("loyalty", _MEDIUM, Normaliser.DIGITS),
        Kind("social", _MEDIUM, Normaliser.PLATFORM),
        Kind("phone", _MEDIUM, Normaliser.PHONE),
        # Unknown kinds stand here: see `Policy.position`.
        Kind(OTHER_KIND, _MEDIUM, Normaliser.TEXT),
        Kind("app", _WEAK, Normaliser.UUID, shared_from=6),
        Kind("device", _WEAK, Normaliser.UUID, shared_from=6),
        Kind("cookie", _WEAK, Normaliser.TRIM, shared_from=6),
        Kind("anonymous", _WEAK, Normaliser.TRIM, shared_from=6),
        Kind("session", _NONE),
        Kind("ip", _NONE),
        Kind("company", _NONE, group=True),
        Kind("household", _NONE, group=True),
    ),
    drop=(
        "",
        "-",
        "0",
        "anonymous",
        "n/a",
        "na",
        "nil",
        "none",
        "null",
        "undefined",
        "unknown",
        "anonymous@example.com",
        "noreply@example.com",
    ),
)
