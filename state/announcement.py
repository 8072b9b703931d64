"""Announcing the owners again, after messages between identity, fragments and owners were lost.

What identity's rows say is told to everybody whom it concerns, and whoever was told otherwise before is told that it
holds no longer. All of it are messages that may repeat: where nothing was lost they change nothing.

1. `owners`: `Own` to every fragment, which makes it speak again, and `Add` to the owner of every member.
2. `corrections`: `Drop` to every owner that holds a fragment which is not its any more, by rows of `context.state`; and
   `Own` to fragments that identity has forgotten, since they may wait for an owner that knows nothing of them.
3. `objection`: `Drop` against an `Add` that is still unread in the log and that nobody will take back.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from schemas.messages import Add, Drop, Own, RoutedMessage
from schemas.roles import ATTACHED, HOME, JOINED
from schemas.rows import (
    LINK_ROW_PREFIX,
    LinkRow,
    RowDecoder,
    encode_row,
    fragment_of,
    is_record_key,
    link_row_key,
    split_member_key,
)
from state.context.rows import MEMBERS, RECORDS
from state.engine import Rows
from state.identity.eras import raised_epoch
from state.identity.telling import ownership

_LINKS: Final = RowDecoder(LinkRow)


class Told(NamedTuple):
    """Messages for `routed`, and the row of `identity.links` that changes with them, if one does."""

    messages: tuple[Own | Add | Drop, ...]
    row: tuple[bytes, bytes] | None = None


class Announcement:
    """What is to be said, over rows of `identity.links` as of the end of its changelog.

    Args:
        links: The rows, evidence left out or not.
        epoch_floor: 0 where identity lost nothing. Otherwise the floor of its new era: all epochs are raised above
            it, since fragments and owners may have heard of higher ones than the rows have.
    """

    def __init__(self, links: Rows, epoch_floor: int = 0) -> None:
        self._links = links
        self._floor = epoch_floor
        #: The greatest era of a position of `routed` that any row of state passed to `corrections` knows of.
        self.era_seen = 0

    def owners(self) -> Iterator[Told]:
        """Where every fragment is that identity ever placed."""
        for key, value in self._links.scan(LINK_ROW_PREFIX):
            before = _LINKS.decode(value)
            if not before.state:
                continue
            fragment = key.removeprefix(LINK_ROW_PREFIX).decode()
            row = self._raised(before)
            yield Told(tuple(ownership(fragment, row)), (key, encode_row(row)) if row.epoch != before.epoch else None)

    def corrections(self, state: Iterable[tuple[bytes, bytes]]) -> Iterator[Told]:
        """What rows of `context.state` make necessary besides."""
        for key, value in state:
            member = split_member_key(key)
            if member is not None:
                owner, fragment = member
                row, held = self._row(fragment), MEMBERS.decode(value)
                self.era_seen = max(self.era_seen, held.era)
                if held.wanted and _owner(row) != owner:
                    yield Told((Drop(owner, fragment, self._epoch(row)),))
            elif self._floor and is_record_key(key):
                yield from self._remind(fragment_of(key), value)

    def objection(self, message: RoutedMessage) -> Drop | None:
        """What is to be said against a message that is still to be read."""
        if not isinstance(message, Add):
            return None
        row = self._row(message.fragment)
        if _owner(row) == message.target:
            return None
        return Drop(message.target, message.fragment, self._epoch(row))

    def _remind(self, fragment: str, value: bytes) -> Iterator[Told]:
        """Of a fragment that identity has no row of any more: until evidence comes again it is its own."""
        record = RECORDS.decode(value)
        if record.epoch and record.kind and self._row(fragment) is None:
            first, last = record.first or 0, record.last or 0
            yield Told((Own(fragment, record.kind, record.sealed, fragment, HOME, 0, self._floor, first, last),))

    def _row(self, fragment: str) -> LinkRow | None:
        value = self._links.get(link_row_key(fragment))
        row = None if value is None else _LINKS.decode(value)
        return row if row is not None and row.state else None

    def _raised(self, row: LinkRow) -> LinkRow:
        return msgspec.structs.replace(row, epoch=raised_epoch(row.epoch, self._floor))

    def _epoch(self, row: LinkRow | None) -> int:
        return self._floor if row is None else raised_epoch(row.epoch, self._floor)


def newest_epoch(state: Iterable[tuple[bytes, bytes]]) -> int:
    """The greatest epoch that fragments and owners were told, by rows of `context.state`."""
    epochs = (
        MEMBERS.decode(value).epoch if split_member_key(key) is not None else RECORDS.decode(value).epoch
        for key, value in state
        if split_member_key(key) is not None or is_record_key(key)
    )
    return max(epochs, default=0)


def _owner(row: LinkRow | None) -> str | None:
    """The owner that has the fragment among its members, if one has."""
    return row.owner if row is not None and row.state in (JOINED, ATTACHED) else None
