r"""The rows of the lookup's copy: their keys, and what is packed into them. Values stay as they came from the topics.

| key | value |
| --- | --- |
| `c/<customer>` | the context document |
| `n` | how many contexts there are |
| `n/level/<level>`, `n/role/<role>` | how many contexts of the level, how many identifiers in the role |
| `l/<fragment>` | its row of `identity.links` |
| `e/<fragment>/...` | a row of evidence of `identity.links` that touches it, under its key there |
| `o/…`, `a/…`, `s/…`, `i/policy`, `i/repair` | orders, the policy in force, the repair under way, as there |
| `m/<owner>/<fragment>` | nothing: the fragment is the owner's |
| `r/<fragment>` | its record of `context.state` |
| `i/<fragment>/<time><source>\0<id>` | day of publication, interaction; sorted by (time, source, id) |
| `t/<fragment>` | how many interactions are kept of the fragment, and the newest time of those that are not |
| `d/<day><fragment>` | nothing: interactions of the fragment were published on the day |
| `w` | where the interactions that were published last are, newest first |
| `p/<topic>/<partition>` | a position row: how far the agent behind the topic has come |
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from state.engine import Rows

#: Part of the folder's name: a version that packs rows differently builds its copy anew.
LAYOUT_VERSION: Final = 3
_TIME: Final = struct.Struct(">Q")
_DAY: Final = struct.Struct(">I")
_TALLY: Final = struct.Struct(">Qq")
# Null bytes are refused in events, so none is in a source or an id.
_SEPARATOR: Final = b"\0"
_NO_TIME: Final = -1
DAY_PREFIX: Final = b"d/"
LINKS_PREFIX: Final = b"l/"
RECORDS_PREFIX: Final = b"r/"
#: Before the key that a context has in its topic.
CONTEXTS_PREFIX: Final = b"c/"
CONTEXTS_KEY: Final = b"n"
LEVEL_COUNT_PREFIX: Final = b"n/level/"
ROLE_COUNT_PREFIX: Final = b"n/role/"
NEWEST_KEY: Final = b"w"
#: How many of the newest interactions are remembered, of all customers.
NEWEST_MAX: Final = 50


class LookupRows(Rows, Protocol):
    """Rows that can also be read from the greatest key down."""

    def scan_reverse(self, prefix: bytes, before: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, greatest key first; only those less than `before`, where given."""


class Moment(NamedTuple):
    """An interaction's place in time; no two of one fragment share it."""

    time: int
    source: str
    id: str

    def packed(self) -> bytes:
        """Bytes that sort as moments do."""
        return pack_moment(*self)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Moment":
        """The moment that `packed` gave.

        Raises:
            ValueError: these are no such bytes.
        """
        if len(packed) < _TIME.size or packed.count(_SEPARATOR, _TIME.size) != 1:
            raise ValueError("no packed moment")
        source, _, event = packed[_TIME.size :].partition(_SEPARATOR)
        return cls(_TIME.unpack_from(packed)[0], source.decode(), event.decode())


def pack_moment(time: int, source: str, event: str) -> bytes:
    """A moment's bytes, without making one of it."""
    return _TIME.pack(time) + source.encode() + _SEPARATOR + event.encode()


class Tally(NamedTuple):
    """How many interactions of a fragment are kept, and the newest time of those that were kept once."""

    kept: int = 0
    forgotten: int | None = None

    def packed(self) -> bytes:
        """The row's value."""
        return _TALLY.pack(self.kept, _NO_TIME if self.forgotten is None else self.forgotten)

    @classmethod
    def unpacked(cls, packed: bytes | None) -> "Tally":
        """The tally in a row, or that of a fragment without one."""
        if packed is None:
            return cls()
        kept, forgotten = _TALLY.unpack(packed)
        return cls(kept, None if forgotten == _NO_TIME else forgotten)


class Newest(NamedTuple):
    """Where one of the newest interactions is, and when it was published; what it says is in its own row."""

    published_ms: int
    fragment: str
    moment: bytes

    @property
    def key(self) -> bytes:
        """The interaction's row."""
        return interactions_prefix(self.fragment) + self.moment


_NEWEST: Final = msgspec.msgpack.Decoder(tuple[Newest, ...])


def pack_newest(newest: Sequence[tuple[int, str, bytes]]) -> bytes:
    """The value of the row of the newest interactions; each is the fields of a `Newest`."""
    return msgspec.msgpack.encode(newest)


def unpack_newest(packed: bytes | None) -> tuple[Newest, ...]:
    """What such a row holds; nothing without one."""
    return () if packed is None else _NEWEST.decode(packed)


def context_key(customer: str) -> bytes:
    """The row of a customer's context."""
    return CONTEXTS_PREFIX + customer.encode()


def pack_count(count: int) -> bytes:
    """The value of a row that counts."""
    return _TIME.pack(count)


def unpack_count(packed: bytes | None) -> int:
    """How many such a row says there are; none without one."""
    return 0 if packed is None else int.from_bytes(packed, "big")


def link_key(fragment: str) -> bytes:
    """The row of a fragment's place in the partition."""
    return LINKS_PREFIX + fragment.encode()


def members_prefix(owner: str) -> bytes:
    """What the keys of an owner's fragments start with."""
    return b"m/" + owner.encode() + b"/"


def member_key(owner: str, fragment: bytes) -> bytes:
    """The row that says whose a fragment is."""
    return members_prefix(owner) + fragment


def record_row_key(fragment: str) -> bytes:
    """The row of a fragment's own record."""
    return RECORDS_PREFIX + fragment.encode()


def interactions_prefix(fragment: str) -> bytes:
    """What the keys of a fragment's interactions start with."""
    return b"i/" + fragment.encode() + b"/"


def interaction_key(fragment: str, moment: Moment) -> bytes:
    """The row of one interaction."""
    return interactions_prefix(fragment) + moment.packed()


def moment_of(fragment: str, key: bytes) -> Moment:
    """The moment in an interaction's key."""
    return Moment.unpacked(key[len(interactions_prefix(fragment)) :])


def pack_interaction(published_day: int, value: bytes) -> bytes:
    """The row of an interaction, which is JSON."""
    return _DAY.pack(published_day) + value


def published_day_of(row: bytes) -> int:
    """The day on which the interaction was published, since 1970."""
    day: int = _DAY.unpack_from(row)[0]
    return day


def interaction_of(row: bytes) -> memoryview:
    """The interaction's JSON."""
    return memoryview(row)[_DAY.size :]


def tally_key(fragment: str) -> bytes:
    """The row of a fragment's tally."""
    return b"t/" + fragment.encode()


def day_key(published_day: int, fragment: str) -> bytes:
    """The row that says that interactions of the fragment were published on the day."""
    return DAY_PREFIX + _DAY.pack(published_day) + fragment.encode()


def split_day_key(key: bytes) -> tuple[int, str]:
    """Day and fragment of such a row."""
    start = len(DAY_PREFIX)
    return _DAY.unpack_from(key, start)[0], key[start + _DAY.size :].decode()


def position_key(topic: str, partition: int) -> bytes:
    """The row of how far a partition of the topic is applied."""
    return b"p/" + f"{topic}/{partition}".encode()
