"""What the library asks for at intake, and Python's answers: identifiers, sets of traits, and texts.

The library names a thing by a byte that says what it is, and what it is of. An answer says all that can be said of it,
so that the same name has the same answer for ever, and is asked for once; an empty one leaves the record to the general
way.
"""

import struct
from typing import Final

import msgspec

from agents.compiled_settings import OUTCOMES
from schemas.enrichment.enrichment import Enrichment
from schemas.event_identifiers import EventIdentifiers
from schemas.messages import encode
from schemas.strict_json import canonical_json
from state.native.packing import packed_bytes, packed_text

_IDENTIFIER: Final = ord("i")
_TRAITS: Final = ord("t")
_PLACE = struct.Struct("<xI")
_position = struct.Struct(">I").pack
_UNUSABLE: Final = b"-"
_GROUP: Final = b"g"
_KNOWN: Final = b"k"
_ROUTES: Final = 1
_LINKS: Final = 2
# An encoded `SealedIdentifier` begins with one byte that says how many fields follow.
_ARRAY_SIZE_BYTES: Final = 1
_LEFT: Final = b""

_NUMBER_OF: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}
_TRAITS_DECODER: Final = msgspec.msgpack.Decoder(dict[str, bytes])


class Answers:
    """Answers under one policy, with the enrichers that are on."""

    def __init__(
        self, identifiers: EventIdentifiers, places: list[tuple[str, str]], enrichment: Enrichment | None
    ) -> None:
        self._identifiers = identifiers
        self._places = places
        self._enrichment = enrichment
        self._looks = [] if enrichment is None else enrichment.looks()

    def to(self, name: bytes) -> bytes:
        """The answer to what a name asks for."""
        try:
            if name[0] == _IDENTIFIER:
                return self._identifier(name)
            if name[0] == _TRAITS:
                return self._traits(_TRAITS_DECODER.decode(memoryview(name)[1:]))
            return self._text(name[1], name[2:].decode())
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the general way meets it again, and makes a dead letter of it.
            return _LEFT

    def _identifier(self, name: bytes) -> bytes:
        (place,) = _PLACE.unpack_from(name)
        kind, _, text = name[_PLACE.size :].decode().partition("\0")
        known = self._identifiers.resolve(kind, text, *self._places[place])
        if known is None:
            return _UNUSABLE
        if isinstance(known, str):
            return _GROUP + known.encode()
        position, identifier = known.order
        # Sorts as the position does, and then as plain values do: no text holds a null byte.
        order = _position(position) + "\0".join(identifier).encode()
        flags = (_ROUTES if known.routes else 0) | (_LINKS if known.links else 0)
        sealed = encode(known.sealed)[_ARRAY_SIZE_BYTES:]
        return b"".join((_KNOWN, bytes((flags,)), packed_bytes(order), sealed))

    def _traits(self, traits: dict[str, bytes]) -> bytes:
        if self._enrichment is None:
            return _LEFT
        read = self._enrichment.read_traits(traits)
        told = [packed_text(name) + packed_bytes(canonical_json(value)) for name, value in sorted(read.told.items())]
        counts = [(_NUMBER_OF[outcome], count) for outcome, count in read.counts.items()]
        return b"".join(
            (
                bytes((len(counts),)),
                *map(bytes, counts),
                bytes((len(told),)),
                *told,
                encode(read.traits),
            )
        )

    def _text(self, number: int, text: str) -> bytes:
        if self._enrichment is None:
            return _LEFT
        look = self._looks[number]
        read = self._enrichment.read_text(look, text)
        if read is None:
            return _LEFT
        told = b"" if read.told is None else canonical_json(read.told)
        return bytes((_NUMBER_OF[look.enricher.name, read.outcome],)) + told
