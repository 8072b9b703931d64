"""Pages of a customer's interactions: those of all its fragments in one order, newest first.

The order is (time, source, id, fragment), all of them descending. A cursor is the place of the last one shown, so pages
stay right while new interactions come in: what is newer than the cursor never shifts what is older.
"""

import base64
import binascii
import heapq
from typing import Final, NamedTuple

import msgspec

from connectors.serve.finding import Finder, Place, Published
from connectors.serve.layout import (
    LookupRows,
    Moment,
    Tally,
    interaction_of,
    interactions_prefix,
    moment_of,
    tally_key,
)
from schemas.document import Interaction
from schemas.roles import ATTACHED
from schemas.times import format_time, parse_time

PAGE_SIZE: Final = 50
PAGE_SIZE_MAX: Final = 500
#: Twice 256 characters of four bytes, a time and a fragment, in base64.
CURSOR_LENGTH_MAX: Final = 2800
_FRAGMENT_LENGTH_BYTES: Final = 16
_JUST_ABOVE: Final = b"\0"


class ShownInteraction(Interaction, omit_defaults=True):
    """An interaction as the lookup shows it: with the customer's present id."""

    #: The kind of the attached identifier that it comes from; absent for those that the customer rests on.
    via: str | None = None


class Page(msgspec.Struct):
    """One page, newest first."""

    customer: str
    interactions: list[ShownInteraction]
    #: The cursor of the next page; null on the last one.
    next: str | None
    #: Interactions of this time and older may be missing, as they are not kept for ever; null where none is.
    horizon: str | None


class Cursor(NamedTuple):
    """The place of the last interaction shown. Its order is the timeline's."""

    moment: bytes
    fragment: str

    def encoded(self) -> str:
        """Text for a URL; clients are not to look into it."""
        return base64.urlsafe_b64encode(bytes.fromhex(self.fragment) + self.moment).rstrip(b"=").decode()

    @classmethod
    def decoded(cls, text: str) -> "Cursor":
        """The cursor that `encoded` gave.

        Raises:
            ValueError: it gave no such text.
        """
        if len(text) > CURSOR_LENGTH_MAX or not text.isascii():
            raise ValueError("no cursor of ours")
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except binascii.Error as error:
            raise ValueError("no cursor of ours") from error
        fragment, moment = packed[:_FRAGMENT_LENGTH_BYTES], packed[_FRAGMENT_LENGTH_BYTES:]
        Moment.unpacked(moment)
        return cls(moment, fragment.hex())


_INTERACTION: Final = msgspec.json.Decoder(ShownInteraction)


class Timeline:
    """Unites the interactions of a customer's fragments."""

    def __init__(self, rows: LookupRows, finder: Finder) -> None:
        self._rows = rows
        self._finder = finder

    def page(self, published: Published, limit: int, cursor: Cursor | None) -> Page:
        """The newest interactions before the cursor, or the newest of all."""
        members = {place.fragment: place for place in self._finder.members(published.customer)}
        # The heap's least is the first to go; one more than fits tells whether there is a next page.
        newest: list[tuple[Cursor, bytes]] = []
        for fragment in members:
            self._collect(fragment, cursor, limit + 1, newest)
        newest.sort(reverse=True)
        shown = newest[:limit]
        return Page(
            published.customer,
            [self._shown(row, published.customer, members[place.fragment]) for place, row in shown],
            shown[-1][0].encoded() if len(newest) > limit else None,
            self._horizon(list(members), published),
        )

    def _collect(self, fragment: str, cursor: Cursor | None, most: int, newest: list[tuple[Cursor, bytes]]) -> None:
        """Put the fragment's interactions into the heap, as long as they are among the newest."""
        prefix = interactions_prefix(fragment)
        before = None
        if cursor is not None:
            # Of the cursor's own moment, the fragments that sort below its own are still to come.
            before = prefix + cursor.moment + (_JUST_ABOVE if fragment < cursor.fragment else b"")
        for key, row in self._rows.scan_reverse(prefix, before):
            entry = (Cursor(key[len(prefix) :], fragment), row)
            if len(newest) < most:
                heapq.heappush(newest, entry)
            elif entry > newest[0]:
                heapq.heapreplace(newest, entry)
            else:
                return

    @staticmethod
    def _shown(row: bytes, customer: str, member: Place) -> ShownInteraction:
        interaction = _INTERACTION.decode(interaction_of(row))
        interaction.customer = customer
        interaction.via = member.kind if member.state == ATTACHED else None
        return interaction

    def _horizon(self, fragments: list[str], published: Published) -> str | None:
        """What was forgotten here, or what the context counts but the topic did not have any more."""
        tallies = [Tally.unpacked(self._rows.get(tally_key(fragment))) for fragment in fragments]
        missing = [tally.forgotten for tally in tallies if tally.forgotten is not None]
        counted = published.glance.interactions
        if counted.first is not None and counted.last is not None:
            oldest = [
                moment_of(fragment, key).time
                for fragment in fragments
                if (key := next((key for key, _ in self._rows.scan(interactions_prefix(fragment))), None)) is not None
            ]
            if not oldest:
                missing.append(parse_time(counted.last))
            elif parse_time(counted.first) < min(oldest):
                missing.append(min(oldest))
        return format_time(max(missing)) if missing else None
