"""A copy made by hand: link rows, contexts, interactions and records, brought in as records through the projection."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import msgspec

from connectors.serve.answers import Answers
from connectors.serve.explaining.explanations import Explanations
from connectors.serve.finding import Finder
from connectors.serve.fragments import FragmentContexts
from connectors.serve.interaction_rows import Retention
from connectors.serve.layout import link_key
from connectors.serve.projection import Projection
from connectors.serve.timeline import Timeline
from schemas.asked import AskedIdentifier
from schemas.clock import ManualClock
from schemas.document import (
    ContextDocument,
    Identity,
    Interaction,
    Interactions,
    LastTouches,
    ShownIdentifier,
    encode_document,
)
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.keys import Keyring
from schemas.messages import RoutedEvent
from schemas.roles import HOME, JOINED, SHARED
from schemas.rows import PAIR_ORDERS, LinkRow, RowDecoder, encode_row, link_row_key, record_key
from schemas.times import format_time
from schemas.topics import Catalogue, Topic
from state.context.rows import Record as FragmentRecord
from state.engine import MemoryRows
from state.fold import fold
from state.fragment import Fragment
from state.identity.placement import Stage
from state.join import JoinRules
from streams.bulk import Record

_LINK_ROW = RowDecoder(LinkRow)
DAY_US = 86_400_000_000
NOW_US = 20_000 * DAY_US


class TwoWayRows(MemoryRows):
    """Rows in memory that can be read backwards, too."""

    def scan_reverse(self, prefix: bytes, before: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, greatest key first."""
        for key, value in reversed(list(self.scan(prefix))):
            if before is None or key < before:
                yield key, value


class Copy:
    """A lookup's copy, filled by hand."""

    def __init__(self, retention: Retention | None = None, keyring: Keyring | None = None) -> None:
        self.keyring = keyring or Keyring(b"a secret of sixteen bytes and more")
        self.catalogue = Catalogue(partitions=1)
        self.clock = ManualClock(NOW_US)
        self.rows = TwoWayRows()
        self.projection = Projection(self.catalogue, self.clock, retention)
        self.finder = Finder(self.rows, self.keyring, DEFAULT_POLICY)
        self.answers = Answers(self.finder, FragmentContexts(self.rows, JoinRules(DEFAULT_POLICY)))
        self.timeline = Timeline(self.rows, self.finder)
        self.explanations = Explanations(lambda: nullcontext(self.rows), self.keyring, JoinRules(DEFAULT_POLICY))
        self._offset = 0

    def identifier(self, kind: str, value: str) -> Identifier:
        """The identifier, normalised."""
        identifier = self.finder.identifier(AskedIdentifier(kind, value))
        assert identifier is not None
        return identifier

    def fragment(self, kind: str, value: str) -> str:
        """The identifier's fragment."""
        return self.keyring.fragment_id(self.identifier(kind, value))

    def record(self, topic: Topic, key: bytes, value: bytes | None, published_us: int = NOW_US) -> Record:
        """A record at the next offset."""
        self._offset += 1
        return Record(self.catalogue.name(topic), 0, self._offset, published_us // 1000, key, value)

    def put(self, *records: Record) -> None:
        """Bring records in, as one batch."""
        self.rows.write(self.projection(records, self.rows))

    def link(
        self,
        kind: str,
        value: str,
        owner: str | None = None,
        state: str = HOME,
        grade: Grade = Grade.CLAIMED,
        *,
        candidates: tuple[str, ...] = (),
    ) -> str:
        """Say where an identifier is; returns its fragment."""
        fragment = self.fragment(kind, value)
        sealed = self.keyring.seal(self.identifier(kind, value), fragment)
        stage = Stage.JOINING if state == JOINED else Stage.ATTACHING
        row = LinkRow(kind, sealed, state, owner or fragment, int(grade), 1, 0, 0, 0, candidates, int(stage))
        self.put(self.record(Topic.LINKS, link_row_key(fragment), encode_row(row)))
        return fragment

    def order(self, fragment: str) -> None:
        """Say that there are orders of an identifier's pairs."""
        row = _LINK_ROW.decode(self.rows.rows[link_key(fragment)])
        row = msgspec.structs.replace(row, ordered=row.ordered | PAIR_ORDERS)
        self.put(self.record(Topic.LINKS, link_row_key(fragment), encode_row(row)))

    def share(self, kind: str, value: str, *candidates: str) -> str:
        """Say that several people use an identifier; returns its fragment."""
        return self.link(kind, value, state=SHARED, candidates=candidates)

    def context(self, customer: str, *identifiers: ShownIdentifier, level: str = "recognised", **more: Any) -> bytes:
        """Publish a context; returns its bytes."""
        document = ContextDocument(
            customer=customer,
            version=more.get("version", 1),
            settling=False,
            realm="default",
            identity=Identity(level, identifiers[0].kind if identifiers else "email"),
            identifiers=list(identifiers),
            traits={},
            permissions={},
            channels={},
            types={},
            days={},
            refs=[],
            groups={},
            last=LastTouches(None, None),
            interactions=Interactions(more.get("count", 1), more.get("first"), more.get("last"), []),
        )
        encoded = encode_document(document)
        self.put(self.record(Topic.CONTEXT, customer.encode(), encoded))
        return encoded

    def forget_context(self, customer: str) -> None:
        """Publish a tombstone."""
        self.put(self.record(Topic.CONTEXT, customer.encode(), None))

    def home(self, kind: str, value: str, grade: Grade = Grade.CLAIMED, **more: Any) -> str:
        """A customer of one identifier that identity named; returns its id."""
        customer = self.link(kind, value, grade=grade)
        self.context(customer, shown(kind, value, grade), **more)
        return customer

    def interaction(
        self, fragment: str, time_us: int, source: str = "shop", event: str = "e", customer: str | None = None
    ) -> Record:
        """A record of `interactions`, published now."""
        value = Interaction(
            event,
            source,
            "page.viewed",
            format_time(time_us),
            "web",
            customer or fragment,
            fragment,
            "cookie",
            "claimed",
        )
        return self.record(Topic.INTERACTIONS, (customer or fragment).encode(), msgspec.json.encode(value))

    def fold_alone(self, kind: str, value: str, grade: Grade = Grade.CLAIMED, **traits: str) -> str:
        """Keep a record of one event for the identifier's fragment; returns the fragment."""
        fragment = self.fragment(kind, value)
        sealed = self.keyring.seal(self.identifier(kind, value), fragment)
        content = Fragment()
        event = RoutedEvent(
            fragment, kind, sealed, "shop", "e-1", "page.viewed", NOW_US, "web", 0, int(grade), b"", False, "in",
            "Viewed shoes", "", {name: msgspec.json.encode(text) for name, text in traits.items()}, {}, (), {}, b"{}",
        )  # fmt: skip
        fold(content, event)
        row = FragmentRecord(kind=kind, sealed=sealed, content=content)
        self.put(self.record(Topic.STATE, record_key(fragment), encode_row(row)))
        return fragment


def shown(kind: str, value: str, grade: Grade = Grade.CLAIMED, role: str = HOME) -> ShownIdentifier:
    """An identifier as a context shows it."""
    return ShownIdentifier(kind, value, grade.label, role, None, None, "current")
