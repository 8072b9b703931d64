"""The registration of sources, `sources.yaml`: what each may say, and how much its word weighs.

A source that is not registered is accepted with rank 0 and grade `claimed`, on the channel that it names; how sure a
link is never comes from the body of an event.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import SettingError
from schemas.identifiers import DEFAULT_NAMESPACE, DEFAULT_REALM
from schemas.identity_policy import Grade
from schemas.yaml_files import decode_yaml, read_yaml_file

#: The key of `grades` that stands for every event type not named.
ANY_TYPE: Final = "*"


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

    def grade(self, event_type: str) -> Grade:
        """The grade of the links that an event of the type shows."""
        label = self.grades.get(event_type) or self.grades.get(ANY_TYPE)
        return Grade.CLAIMED if label is None else Grade.of(label)


class _SourcesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, Source] = {}


_UNREGISTERED: Final = Source()


class SourceRegistry:
    """All registered sources by name."""

    def __init__(self, sources: Mapping[str, Source] | None = None, folder: Path | None = None) -> None:
        self.sources = dict(sources or {})
        #: Mapping files are relative to this folder.
        self.folder = folder or Path()
        self._defaults: dict[str, str] = {}
        for name, source in self.sources.items():
            for label in source.grades.values():
                Grade.of(label)
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

    def default_for(self, channel: str) -> str | None:
        """The source that unnamed, unmapped records of a channel's raw topic belong to."""
        return self._defaults.get(channel)

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


def load_sources(path: Path) -> SourceRegistry:
    """The registry in a YAML file.

    Raises:
        SettingError: the file can't be read, is no YAML, or has an unknown key or a wrong value; it says which.
    """
    decoded = decode_yaml(read_yaml_file(path), _SourcesFile, str(path), {".sources": Source})
    return SourceRegistry(decoded.sources, path.parent)
