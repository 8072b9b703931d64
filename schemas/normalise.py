"""Values of identifiers made comparable, so that one person's e-mail typed two ways is one identifier.

Pure functions of value and policy; each is idempotent, since a lookup normalises what an answer gave it. A change
here, or in the libraries behind it, changes routing: it is a migration.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import idna

from schemas.errors import DeadCode, EventError
from schemas.identifiers import DEFAULT_NAMESPACE, DEFAULT_REALM, Identifier
from schemas.identity_policy import ALL_DOMAINS, Case, Extension, Kind, LookAlikes, Normaliser, Policy
from schemas.limits import IDENTIFIER_LENGTH_MAX
from schemas.look_alikes import fold_look_alikes, has_look_alikes

# Phone numbers and foreign domains are slow to read and come again and again.
_CACHED_VALUES_MAX: Final = 8192
_CACHED_LISTS_MAX: Final = 16
_LOCAL_PART_LENGTH_MAX: Final = 64
#: Two are enough for whatever was tried: folded letters are ASCII.
_FURTHER_PASSES_MAX: Final = 4
_BSN_LENGTH: Final = 9
#: What some exchanges send for a withheld number: ANONYMOUS on a keypad.
_WITHHELD: Final = frozenset({"+266696687"})

_KIND_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,31}", re.ASCII)
_IMPOSSIBLE_IN_LOCAL_PART: Final = re.compile(r"[\s@<>()\[\],;:\\\"\x00-\x1f\x7f]")
_ASCII_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62}\.?)*", re.ASCII)
_UUID: Final = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?"
)
_NO_DIGIT: Final = re.compile(r"[^0-9]+")


class Patterns:
    """A list of values in a policy, each `value` or `kind:value`, compared case-folded; `*` stands for any text."""

    def __init__(self, entries: Iterable[str]) -> None:
        folded = {entry.casefold() for entry in entries}
        wild = sorted(entry for entry in folded if "*" in entry)
        self._exact = frozenset(folded)
        self._wild = (
            re.compile("|".join(re.escape(entry).replace(r"\*", ".*") for entry in wild), re.DOTALL) if wild else None
        )

    def match(self, kind: str, value: str) -> bool:
        """Whether the list names the value, for all kinds or for this one."""
        folded = value.casefold()
        named = f"{kind}:{folded}"
        if folded in self._exact or named in self._exact:
            return True
        return self._wild is not None and bool(self._wild.fullmatch(folded) or self._wild.fullmatch(named))


def normalise(kind: Kind, value: str, policy: Policy) -> str | None:
    """The comparable form of a value, or None where it identifies nobody (empty, dropped or impossible)."""
    dropped = _patterns(policy.drop)
    trimmed = value.strip()
    if not trimmed or dropped.match(kind.name, trimmed):
        return None
    normal = _settled(trimmed, kind, policy.phone_region)
    return None if normal is None or dropped.match(kind.name, normal) else normal


def _settled(value: str, kind: Kind, region: str) -> str | None:
    """The value's form. What one rule makes of it may be another's to judge, so they go on until nothing changes."""
    form = _NORMALISERS[kind.normaliser](value, kind, region)
    if kind.look_alikes is LookAlikes.KEEP:
        return form
    for _ in range(_FURTHER_PASSES_MAX):
        if form is None or form == value:
            return form
        value = form
        form = _NORMALISERS[kind.normaliser](value.strip(), kind, region)
    return form if form == value else None


def trim(value: str) -> str:
    """The value without the white space around it, which says nothing in any kind.

    Raises:
        EventError: `identifier_too_long`.
    """
    trimmed = value.strip()
    if len(trimmed) > IDENTIFIER_LENGTH_MAX:
        raise _too_long()
    return trimmed


def identify(
    kind: Kind, value: str, policy: Policy, realm: str = DEFAULT_REALM, namespace: str = DEFAULT_NAMESPACE
) -> Identifier | None:
    """The identifier of a value as somebody wrote it, or None where it is unusable.

    Raises:
        EventError: `identifier_too_long`.
    """
    normal = normalise(kind, trim(value), policy)
    if normal is None:
        return None
    if len(normal) > IDENTIFIER_LENGTH_MAX:
        raise _too_long()
    return Identifier(kind.name, normal, namespace if kind.namespaced else DEFAULT_NAMESPACE, realm)


def unlinkable_patterns(policy: Policy) -> Patterns:
    """The identifiers that are never evidence, plain values in the form in which events are compared with them."""
    entries = []
    for entry in policy.unlinkable:
        name, _, value = entry.partition(":")
        normal = normalise(policy.kind(name), value, policy) if value and "*" not in value else None
        entries.append(entry if normal is None else f"{name}:{normal}")
    return Patterns(entries)


def domain_of_mail(text: str) -> str | None:
    """A domain in the form in which addresses have it, or None where it is none."""
    return _domain(text)


def is_kind_name(name: str) -> bool:
    """Whether a kind can be called so: a lower-case letter, then letters, digits, `_`, `.`, `-`, 32 in all."""
    return _KIND_NAME.fullmatch(name) is not None


def _too_long() -> EventError:
    return EventError(DeadCode.IDENTIFIER_TOO_LONG, f"the identifier has more than {IDENTIFIER_LENGTH_MAX} characters")


@lru_cache(maxsize=_CACHED_LISTS_MAX)
def _patterns(entries: tuple[str, ...]) -> Patterns:
    return Patterns(entries)


def _text(value: str, kind: Kind, _region: str) -> str | None:
    return _cased(_seen(unicodedata.normalize("NFC", value), kind), kind)


def _as_it_is(value: str, kind: Kind, _region: str) -> str | None:
    return _cased(_seen(value, kind), kind)


def _seen(text: str, kind: Kind) -> str | None:
    """The text by the kind's rule of look-alikes; None where that drops it."""
    if kind.look_alikes is LookAlikes.FOLD:
        return fold_look_alikes(text)
    return None if kind.look_alikes is LookAlikes.DROP and has_look_alikes(text) else text


def _cased(text: str | None, kind: Kind) -> str | None:
    if text is None or kind.case is Case.KEEP:
        return text
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _email(value: str, kind: Kind, _region: str) -> str | None:
    given, at, domain = unicodedata.normalize("NFC", value).rpartition("@")
    seen = _seen(given, kind)
    host = _domain(domain)
    if kind.look_alikes is not LookAlikes.KEEP and host is not None:
        host = _seen_host(host, kind)
    if not at or seen is None or host is None:
        return None
    local = _local_part(unicodedata.normalize("NFC", seen.lower()))
    if local is None:
        return None
    if "+" in local and _is_listed(host, kind.plus):
        # What stands before the first plus; dots at its end would make it impossible.
        local = local.partition("+")[0].rstrip(".") or local
    if "." in local and _is_listed(host, kind.dots):
        local = local.replace(".", "")
    return f"{local}@{host}"


def _local_part(local: str) -> str | None:
    """The part before the at sign, where mail could go to it."""
    if not 0 < len(local) <= _LOCAL_PART_LENGTH_MAX or _IMPOSSIBLE_IN_LOCAL_PART.search(local):
        return None
    return None if local[0] == "." or local[-1] == "." or ".." in local else local


def _is_listed(host: str, domains: tuple[str, ...]) -> bool:
    return bool(domains) and (host in domains or ALL_DOMAINS in domains)


@lru_cache(maxsize=_CACHED_VALUES_MAX)
def _seen_host(host: str, kind: Kind) -> str | None:
    """The domain by the kind's rule of look-alikes, each label as people read it."""
    try:
        labels = [idna.decode(label) if label.startswith("xn--") else label for label in host.split(".")]
    except (idna.IDNAError, UnicodeError):
        return host
    seen = _seen(".".join(labels), kind)
    return None if seen is None else _domain(seen)


@lru_cache(maxsize=_CACHED_VALUES_MAX)
def _domain(domain: str) -> str | None:
    """The domain in the ASCII form that mail goes to."""
    lowered = domain.lower().removesuffix(".")
    if lowered.isascii() and "_" in lowered:
        # IDNA refuses an underscore, which some real hosts have.
        return lowered if _ASCII_DOMAIN.fullmatch(lowered) else None
    try:
        return idna.encode(lowered, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None


def _phone(value: str, kind: Kind, region: str) -> str | None:
    return _number(value, region, kind.extension is Extension.KEEP)


@lru_cache(maxsize=_CACHED_VALUES_MAX)
def _number(value: str, region: str, keeps_extension: bool) -> str | None:
    # The library takes a while to load, as each country's plan does at its first number, and few commands read any.
    import phonenumbers

    try:
        number = phonenumbers.parse(value, region or None)
    except phonenumbers.NumberParseException:
        return None
    # A local or short number says something within one exchange or country only. Without a country's code nothing
    # but the numbering plan tells it from a whole one.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    if not value.startswith("+") and not phonenumbers.is_valid_number(number):
        return None
    normal: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if normal in _WITHHELD:
        return None
    return f"{normal};ext={number.extension}" if keeps_extension and number.extension else normal


def _digits(value: str, _kind: Kind, _region: str) -> str | None:
    digits = _NO_DIGIT.sub("", value)
    return digits if digits.strip("0") else None


def _platform(value: str, kind: Kind, _region: str) -> str | None:
    """`platform:id`: an id alone could be anybody's on another platform."""
    seen = _seen(unicodedata.normalize("NFC", value), kind)
    platform, _, name = (seen or "").partition(":")
    platform, cased = platform.strip().lower(), _cased(name.strip(), kind)
    return f"{platform}:{cased}" if platform and cased else None


def _uuid(value: str, _kind: Kind, _region: str) -> str | None:
    lowered = value.lower()
    match = _UUID.fullmatch(lowered)
    normal = "-".join(match.groups()) if match else lowered
    # Zeros are what a device answers that may not tell who it is.
    return normal if normal.strip("0-:") else None


def _checksum(value: str, _kind: Kind, _region: str) -> str | None:
    """A Dutch citizen service number: nine digits, leading zeros often lost, that pass the eleven test."""
    digits = _NO_DIGIT.sub("", value).zfill(_BSN_LENGTH)
    if len(digits) != _BSN_LENGTH or not digits.strip("0"):
        return None
    weighted = sum(weight * int(digit) for weight, digit in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), digits, strict=True))
    return digits if weighted % 11 == 0 else None


_NORMALISERS: Final[dict[Normaliser, Callable[[str, Kind, str], str | None]]] = {
    Normaliser.TEXT: _text,
    Normaliser.TRIM: _as_it_is,
    Normaliser.EMAIL: _email,
    Normaliser.PHONE: _phone,
    Normaliser.DIGITS: _digits,
    Normaliser.PLATFORM: _platform,
    Normaliser.UUID: _uuid,
    Normaliser.CHECKSUM: _checksum,
}
