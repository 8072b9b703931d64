"""Intake's way through the library in Rust, where there is one (`state.native`), in front of the general way.

A slice of records is packed as bytes. The library reads them and makes their messages. What it has to know for that,
identifiers, which Python hashes and seals, and what enrichers look at, it asks for once, and keeps. Records that
it refuses, among them all that become dead letters, are left to the general way, which is the one that says what is
right; what both give is the same to the byte.
"""

import struct
from array import array
from collections.abc import Sequence
from typing import Final

from agents.compiled_answers import Answers
from agents.compiled_settings import OUTCOMES, IntakeSettings
from schemas.cleaning import Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.event import CONTENT_TYPE_HEADER, STRUCTURED_CONTENT_TYPE
from schemas.sources import SourceRegistry
from schemas.topics import Catalogue
from state.native.loading import Library
from state.native.packing import packed_bytes, packed_text
from state.native.slice_answer import Slice, read_asked, read_slice
from streams.batch import Batch

#: Some 350 bytes each: identifiers, sets of traits and texts that come again.
KEPT_SIZE_BYTES_MAX: Final = 48 * 1024 * 1024
#: Larger records are left to the general way, so that a slice has its bound.
RECORD_SIZE_BYTES_MAX: Final = 64 * 1024

_STRUCTURED: Final = STRUCTURED_CONTENT_TYPE.encode()
_STRUCTURED_AND_MORE: Final = _STRUCTURED + b";"

_place = struct.Struct("<qI").pack
_count = struct.Struct("<I").pack


class CompiledIntake:
    """The library, and what intake goes by beside its records."""

    def __init__(
        self,
        library: Library,
        *,
        catalogue: Catalogue,
        cleaner: Cleaner,
        registry: SourceRegistry,
        enrichment: Enrichment | None,
    ) -> None:
        settings = IntakeSettings(cleaner, registry, enrichment)
        self._library = library.for_intake(settings.packed, KEPT_SIZE_BYTES_MAX)
        self._catalogue = catalogue
        self._answers = Answers(cleaner.identifiers, settings.places, enrichment)
        self._enrichment = enrichment

    def take(self, parts: Sequence[Batch]) -> Slice | None:
        """What becomes of those records of a slice that are plain; None where none of them is.

        1. Pack the records.
        2. Answer what the library asks for.
        3. Count what enrichers made of the records.
        """
        # Step 1.
        request = self._request(parts)
        said = None if request is None else self._library.take(request)
        if request is None or said is None:
            return None
        # Step 2.
        asked = read_asked(said)
        if asked is not None:
            answers = list(map(self._answers.to, asked.names))
            said = self._library.take(request, b"".join((asked.packed, *map(packed_bytes, answers))))
            if said is None:
                return None
        made = read_slice(said)
        # Step 3.
        if self._enrichment is not None:
            counts = self._enrichment.counts
            for outcome, count in zip(OUTCOMES, made.outcomes, strict=False):
                if count:
                    counts[outcome] += count
        return made

    def _request(self, parts: Sequence[Batch]) -> bytes | None:
        """The slice as `slice.rs` reads it; None where any of it is of no channel of ours."""
        places = []
        for part in parts:
            channel = self._catalogue.channel_of(part.topic)
            if channel not in self._catalogue.channels:
                return None
            places.append(packed_text(channel) + _place(part.partition, len(part.records)))
        records = [record for part in parts for record in part.records]
        # One without a value, or one that is left out here, is refused.
        values = [
            b"" if record.headers and not _says_nothing(record.headers) else record.value or b"" for record in records
        ]
        if max(map(len, values)) > RECORD_SIZE_BYTES_MAX:
            values = [value if len(value) <= RECORD_SIZE_BYTES_MAX else b"" for value in values]
        return b"".join(
            (
                _count(len(places)),
                *places,
                array("I", map(len, values)).tobytes(),
                array("q", [record.offset for record in records]).tobytes(),
                array("q", [record.timestamp for record in records]).tobytes(),
                *values,
            )
        )


def _says_nothing(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Whether a record is what it is without its headers. They may make it anything, but collect writes just this."""
    name, content = headers[0]
    if len(headers) > 1 or name != CONTENT_TYPE_HEADER or content is None:
        return False
    return content == _STRUCTURED or content.startswith(_STRUCTURED_AND_MORE)
