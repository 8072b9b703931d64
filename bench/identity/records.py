"""What intake makes of the events, with their truth: the same records for every way of linking them.

Every way is given the same: identifiers normalised and dropped by the operator's policy, no evidence from what he
named unlinkable, the grades of the sources, traits, and the CRM's own word that two of its numbers are one person's.
"""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.generator import encode
from bench.identity.stream import Labelled
from schemas.cleaning import Cleaned, Cleaner
from schemas.errors import EventError
from schemas.event import parse_structured
from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.normalise import identify
from schemas.orders import MERGED_EVENT
from schemas.policy_file import load_policy
from schemas.sources import SourceRegistry, load_sources

SOURCES_FILE: Final = Path(__file__).with_name("sources.yaml")
POLICY_FILE: Final = Path(__file__).with_name("policy.yaml")
_CHANNELS: Final = ("web", "app", "store", "chat", "email", "voice", "sms", "iot", "crm", "billing")
_FAR_FUTURE_US: Final = 1 << 60

#: A person within a brand.
Truth = tuple[str, int]
#: Source and id: what names an event for ever.
EventKey = tuple[str, str]


class Record(NamedTuple):
    """One distinct event after cleaning."""

    key: EventKey
    truth: Truth
    time_us: int
    rank: int
    #: The strongest identifier, for which the event counts; None where none is usable, so that it goes to `dead`.
    target: Identifier | None
    #: Identifiers that are evidence of each other; empty where there is no pair.
    evidence: tuple[Identifier, ...]
    grade: int
    #: The usable identifiers that are this person's own.
    own: tuple[Identifier, ...]
    #: Those that are not.
    foreign: tuple[Identifier, ...]
    traits: dict[str, Any]
    mishaps: tuple[str, ...]
    #: Identifiers that a system of record says are one person's.
    merged: tuple[Identifier, ...]
    at: float


class Reader:
    """Reads labelled events as intake does."""

    def __init__(self, policy: Policy | None = None, registry: SourceRegistry | None = None) -> None:
        self._policy = policy or load_policy(POLICY_FILE)
        self._registry = registry or load_sources(SOURCES_FILE)
        self._keyring = Keyring(b"a secret for benchmarks only")
        self._cleaner = Cleaner(policy=self._policy, registry=self._registry, keyring=self._keyring, channels=_CHANNELS)

    def record(self, labelled: Labelled) -> Record:
        """The record of an event."""
        event = labelled.event
        parsed = parse_structured(encode(event))
        source = self._registry.source(event["source"])
        cleaned = self._clean(parsed, event["channel"])
        usable = list(self._usable(event["data"]["identifiers"], event["source"]))
        merged: tuple[Identifier, ...] = ()
        if event["type"] == MERGED_EVENT:
            merged = tuple(
                one
                for values in ("identifiers", "other")
                for one in self._usable(event["data"][values], event["source"])
            )
        return Record(
            key=(event["source"], event["id"]),
            truth=labelled.truth,
            time_us=parsed.time,
            rank=source.rank,
            target=None if cleaned is None else self._keyring.unseal(cleaned.routed.sealed, cleaned.routed.target),
            evidence=() if cleaned is None else self._evidence(cleaned),
            grade=int(source.grade(event["type"])),
            own=tuple(one for one in usable if one.kind not in labelled.foreign),
            foreign=tuple(one for one in usable if one.kind in labelled.foreign),
            traits=event["data"].get("traits", {}),
            mishaps=labelled.mishaps,
            merged=merged,
            at=labelled.at,
        )

    def _clean(self, parsed: Any, channel: str) -> Cleaned | None:
        try:
            return self._cleaner.clean(parsed, topic_channel=channel, now_us=_FAR_FUTURE_US)
        except EventError:
            return None

    def _evidence(self, cleaned: Cleaned) -> tuple[Identifier, ...]:
        return tuple(self._keyring.unseal(each.sealed, each.fragment) for each in cleaned.identifiers)

    def _usable(self, identifiers: dict[str, Any], source: str) -> Iterable[Identifier]:
        registered = self._registry.source(source)
        for name, given in identifiers.items():
            for value in given if isinstance(given, list) else [given]:
                kind = self._policy.kind(name)
                found = identify(kind, value, self._policy, registered.realm, registered.namespace)
                if found is not None:
                    yield found


def read(events: Iterable[Labelled], reader: Reader | None = None) -> list[Record]:
    """The record of each distinct event, copies left out."""
    reader = reader or Reader()
    return [reader.record(labelled) for labelled in events if not labelled.copy]


def pairs(identifiers: Iterable[Identifier]) -> Iterable[tuple[Identifier, Identifier]]:
    """A chain through all of them: enough to unite them."""
    return pairwise(identifiers)
