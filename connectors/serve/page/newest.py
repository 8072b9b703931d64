"""The newest interactions of all customers, from the rows that say where they are."""

from typing import Final, NamedTuple

import msgspec

from connectors.serve.finding import Finder
from connectors.serve.layout import NEWEST_KEY, NEWEST_MAX, LookupRows, interaction_of, unpack_newest
from connectors.serve.page.words import plain
from schemas.document import Interaction
from schemas.roles import SHARED
from schemas.times import MICROSECONDS_PER_MILLISECOND, format_time

_INTERACTION: Final = msgspec.json.Decoder(Interaction)
#: A line of a list, in characters.
_LINE_LENGTH_MAX: Final = 160


class NewestEvent(NamedTuple):
    """One line of the list."""

    #: When it became visible, RFC 3339.
    published: str
    channel: str
    type: str
    summary: str
    direction: str
    #: Whose it is now; None where the identifier turned out to be shared.
    customer: str | None


class NewestEvents:
    """Reads them from the lookup's copy."""

    def __init__(self, rows: LookupRows, finder: Finder) -> None:
        self._rows = rows
        self._finder = finder

    def version(self) -> bytes | None:
        """Differs whenever there are newer ones."""
        return self._rows.get(NEWEST_KEY)

    def read(self, limit: int = NEWEST_MAX) -> list[NewestEvent]:
        """The newest first; those that are not kept any more are left out."""
        events = []
        for newest in unpack_newest(self.version()):
            row = self._rows.get(newest.key)
            if row is None:
                continue
            interaction = _INTERACTION.decode(interaction_of(row))
            place = self._finder.place(newest.fragment)
            events.append(
                NewestEvent(
                    format_time(newest.published_ms * MICROSECONDS_PER_MILLISECOND),
                    plain(interaction.channel),
                    plain(interaction.type, _LINE_LENGTH_MAX),
                    plain(interaction.summary or "", _LINE_LENGTH_MAX),
                    plain(interaction.direction or ""),
                    None if place.state == SHARED else place.owner,
                )
            )
            if len(events) == limit:
                break
        return events
