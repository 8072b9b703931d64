"""The registration of sources, `sources.yaml`: what each may say, and how much its word weighs.

A source that is not registered is accepted with rank 0 and grade `claimed`, on the channel that it names; how sure a
link is never comes from the body of an event.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from schemas.credentials import RequestRate, closed_form, expiry_us, resolved_digest
from schemas.errors import SettingError
from schemas.identifiers import DEFAULT_NAMESPACE, DEFAULT_REALM
from schemas.identity_policy import Grade
from schemas.signatures import Signature, SignatureCheck, verify_signature
from schemas.yaml_files import decode_yaml, read_yaml_file

#: The key of `grades` that stands for every event type not named.
ANY_TYPE: Final = "*"
#: People bring the keys that their SDKs have already, and those are not long.
WRITE_KEY_LENGTH_MIN: Final = 8
_PLACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


class WriteKeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several keys of a source."""

    #: Plain, `sha256:` and its digits, or `env:NAME`.
    key: str
    #: RFC 3339; from then on the key does not count.
    expires: Any = None


class WriteKey(NamedTuple):
    """A key that lets in events of its source and of no other. The plain key is not kept."""

    source: str
    digest: bytes
    expires_us: int | None
    requests_per_second: float | None


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One registered source."""

    #: Channel of its events where they name none.
    channel: str | None = None
    #: Wins over lower ranks between registers of the same time.
    rank: int = 0
    #: Event type (or `*`) to record, login or claimed.
    grades: dict[str, str] = {}
    realm: str = DEFAULT_REALM
    #: Tells `crm:8812` of this system from that of another; concerns namespaced kinds only.
    namespace: str = DEFAULT_NAMESPACE
    #: A mapping file, relative to `sources.yaml`, where its records are no CloudEvents.
    mapping: str | None = None
    #: The channel whose raw records that are no CloudEvents and name no source are read as this source's.
    default_for: str | None = None
    #: The key of whoever sends its events, in one of the forms of `schemas.credentials`.
    write_key: str | None = None
    #: Several keys, all of which count: the old one and the new one while keys are changed.
    write_keys: tuple[str | WriteKeyEntry, ...] = ()
    #: What its keys, and the requests that are signed as its own, may send together.
    requests_per_second: RequestRate | None = None
    #: How its webhooks are signed; one that is not signed so is refused.
    signature: Signature | None = None

    def grade(self, event_type: str) -> Grade:
        """The grade of the links that an event of the type shows."""
        label = self.grades.get(event_type) or self.grades.get(ANY_TYPE)
        return Grade.CLAIMED if label is None else Grade.of(label)


class _SourcesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, Source] = {}


# A place starts with the first of these that fits.
_SHAPES: Final[dict[str, type[msgspec.Struct]]] = {
    ".sources[...].write_keys": WriteKeyEntry,
    ".sources[...].signature": Signature,
    ".sources": Source,
}
_UNREGISTERED: Final = Source()
_UNREGISTERED_GRADES: Final[dict[str, Grade]] = {}


class SourceRegistry:
    """All registered sources by name."""

    def __init__(self, sources: Mapping[str, Source] | None = None, folder: Path | None = None) -> None:
        given = dict(sources or {})
        self._write_keys = [key for name, source in given.items() for key in _given_keys(name, source)]
        # Plain keys end here.
        self.sources = {
            name: msgspec.structs.replace(source, write_key=None, write_keys=()) for name, source in given.items()
        }
        #: Mapping files are relative to this folder.
        self.folder = folder or Path()
        # A word's grade is looked up for each event.
        self._grades: dict[str, dict[str, Grade]] = {}
        self._defaults: dict[str, str] = {}
        for name, source in self.sources.items():
            _verify_grades(name, source)
            _verify_place(name, source)
            self._grades[name] = {event_type: source.grade(event_type) for event_type in source.grades}
            if source.signature is not None:
                verify_signature(source.signature, f"source {name!r}")
            if source.default_for is None:
                continue
            if source.default_for in self._defaults:
                raise SettingError(
                    f"sources {self._defaults[source.default_for]!r} and {name!r} are both default_for "
                    f"{source.default_for!r}; only one can be"
                )
            if source.mapping is None:
                raise SettingError(f"source {name!r} is default_for a channel but has no mapping")
            self._defaults[source.default_for] = name

    def source(self, name: str) -> Source:
        """The registration of the name, or that of an unregistered source."""
        return self.sources.get(name, _UNREGISTERED)

    def grade(self, name: str, event_type: str) -> Grade:
        """As `Source.grade`, of the source of the name, registered or not."""
        grades = self._grades.get(name, _UNREGISTERED_GRADES)
        grade = grades.get(event_type)
        return grades.get(ANY_TYPE, Grade.CLAIMED) if grade is None else grade

    def default_for(self, channel: str) -> str | None:
        """The source that unnamed, unmapped records of a channel's raw topic belong to."""
        return self._defaults.get(channel)

    def write_keys(self, environment: Mapping[str, str]) -> Iterator[WriteKey]:
        """The keys of all sources.

        Args:
            environment: Where keys that are given as `env:NAME` are.

        Raises:
            SettingError: one is missing there, or unusable; or an expiry is no time.
        """
        for key in self._write_keys:
            digest = resolved_digest(key.closed, environment, key.place, WRITE_KEY_LENGTH_MIN)
            rate = self.sources[key.source].requests_per_second
            yield WriteKey(key.source, digest, key.expires_us, rate)

    def signatures(self, environment: Mapping[str, str]) -> dict[str, SignatureCheck]:
        """How the webhooks of those sources are verified that have a signature, and how many are taken.

        Args:
            environment: Where their secrets are.

        Raises:
            SettingError: a secret is missing there, or unusable.
        """
        return {
            name: SignatureCheck(source.signature, environment, f"source {name!r}", source.requests_per_second)
            for name, source in self.sources.items()
            if source.signature is not None
        }

    def verify(self, channels: tuple[str, ...]) -> None:
        """Refuse registrations that name a channel which does not exist.

        Raises:
            SettingError: naming source and channel.
        """
        for name, source in self.sources.items():
            for channel in (source.channel, source.default_for):
                if channel is not None and channel not in channels:
                    raise SettingError(
                        f"source {name!r} names channel {channel!r}, which is none of {', '.join(channels)}"
                    )


def _verify_grades(name: str, source: Source) -> None:
    for event_type, label in source.grades.items():
        try:
            Grade.of(label)
        except SettingError as error:
            raise SettingError(f"source {name!r}: grades: {event_type}: {error}") from None


def _verify_place(name: str, source: Source) -> None:
    """Realm and namespace are in the key of every fragment for ever: an empty or broken one is a mistake."""
    for key, given in (("realm", source.realm), ("namespace", source.namespace)):
        if _PLACE.fullmatch(given) is None:
            raise SettingError(
                f"source {name!r}: {key}: {given!r} has to be 1 to 64 letters, digits, `_`, `.` or `-`, the first a "
                f"letter or a digit; leave it out for {DEFAULT_REALM!r}"
            )


class _GivenKey(NamedTuple):
    """A key without its plain text; whether its environment variable is there matters to collect alone."""

    source: str
    place: str
    closed: str
    expires_us: int | None


def _given_keys(name: str, source: Source) -> Iterator[_GivenKey]:
    given = (*(() if source.write_key is None else (source.write_key,)), *source.write_keys)
    for number, text_or_entry in enumerate(given, start=1):
        entry = WriteKeyEntry(text_or_entry) if isinstance(text_or_entry, str) else text_or_entry
        place = f"source {name!r}: write key {number}"
        closed = closed_form(entry.key, place, WRITE_KEY_LENGTH_MIN)
        yield _GivenKey(name, place, closed, expiry_us(entry.expires, place))


def load_sources(path: Path) -> SourceRegistry:
    """The registry in a YAML file.

    Raises:
        SettingError: the file can't be read, is no YAML, or has an unknown key or a wrong value; it says which.
    """
    decoded = decode_yaml(read_yaml_file(path), _SourcesFile, str(path), _SHAPES)
    try:
        return SourceRegistry(decoded.sources, path.parent)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error
