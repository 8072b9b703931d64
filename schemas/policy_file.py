"""Reads `identity.yaml`: what it leaves out is as in the default policy; what it gets wrong stops the start."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from schemas.errors import SettingError
from schemas.identity_policy import (
    ALL_DOMAINS,
    CLUSTER_IDENTIFIERS_MAX,
    DEFAULT_POLICY,
    Case,
    Extension,
    Kind,
    LookAlikes,
    Normaliser,
    Policy,
    Strength,
)
from schemas.normalise import domain_of_mail
from schemas.policy_contradictions import contradictions
from schemas.yaml_files import decode_yaml, read_yaml_file, suggestion

_STRENGTHS: Final = tuple(strength.name.lower() for strength in sorted(Strength, reverse=True))
_Word = TypeVar("_Word", bound=StrEnum)


class _KindEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    strength: str
    normaliser: str = Normaliser.TRIM
    unique: bool = False
    shared_from: int = 0
    namespaced: bool = False
    enabled: bool = True
    group: bool = False
    hidden: bool = False
    claimed_from: int = 0
    plus: list[str] | Literal["all"] = []
    dots: list[str] | Literal["all"] = []
    extension: str = Extension.DROP
    case: str = Case.KEEP
    look_alikes: str = LookAlikes.KEEP

    def kind(self) -> Kind:
        """The kind; raises SettingError, naming the key."""
        if self.strength not in _STRENGTHS:
            raise SettingError(f"strength: {_no_such(self.strength, _STRENGTHS)}")
        return Kind(
            name=self.name,
            strength=Strength[self.strength.upper()],
            normaliser=_one_of(Normaliser, self.normaliser, "normaliser"),
            unique=self.unique,
            shared_from=self.shared_from,
            namespaced=self.namespaced,
            enabled=self.enabled,
            group=self.group,
            hidden=self.hidden,
            claimed_from=self.claimed_from,
            plus=_domains(self.plus, "plus"),
            dots=_domains(self.dots, "dots"),
            extension=_one_of(Extension, self.extension, "extension"),
            case=_one_of(Case, self.case, "case"),
            look_alikes=_one_of(LookAlikes, self.look_alikes, "look_alikes"),
        )


class _PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: list[_KindEntry] | None = None
    drop: list[str] | None = None
    unlinkable: list[str] = []
    phone_region: str = ""
    cluster_limit: Annotated[int, msgspec.Meta(ge=2)] = CLUSTER_IDENTIFIERS_MAX


def load_policy(path: Path) -> Policy:
    """The policy in a YAML file.

    Raises:
        SettingError: the file can't be read, has an unknown key or a wrong value, or contradicts itself; the message
            says what, where, and what to do.
    """
    read = decode_yaml(read_yaml_file(path), _PolicyFile, str(path), {".kinds": _KindEntry})
    policy = Policy(
        kinds=DEFAULT_POLICY.kinds if read.kinds is None else tuple(_kind(entry, path) for entry in read.kinds),
        drop=DEFAULT_POLICY.drop if read.drop is None else tuple(read.drop),
        unlinkable=tuple(read.unlinkable),
        phone_region=read.phone_region,
        cluster_limit=read.cluster_limit,
    )
    for contradiction in contradictions(policy):
        raise SettingError(f"{path}: {contradiction}")
    return policy


def _kind(entry: _KindEntry, path: Path) -> Kind:
    try:
        return entry.kind()
    except SettingError as error:
        raise SettingError(f"{path}: kinds.{entry.name}.{error}") from None


def _domains(given: list[str] | Literal["all"], key: str) -> tuple[str, ...]:
    """The domains in the form in which addresses have them, in one order."""
    if given == "all":
        return (ALL_DOMAINS,)
    domains = set()
    for entry in given:
        domain = domain_of_mail(entry)
        if domain is None:
            raise SettingError(f"{key}: {entry!r} is no domain; write one such as gmail.com, or `{key}: all`")
        domains.add(domain)
    return tuple(sorted(domains))


def _one_of(words: type[_Word], given: str, key: str) -> _Word:
    if given not in tuple(words):
        raise SettingError(f"{key}: {_no_such(given, [word.value for word in words])}")
    return words(given)


def _no_such(given: str, known: tuple[str, ...] | list[str]) -> str:
    return f"there is no {given!r}{suggestion(given, known)}"
