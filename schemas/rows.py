"""Rows of the two changelogs, `context.state` and `identity.links`: their keys, formats and positions.

Every value starts with one byte, the format version, so that a reader refuses what it can't read. Keys of
`context.state` start with the fragment id (32 hexadecimal digits), so that a fragment's rows lie side by side.
"""

import functools
from typing import Any, Final, Generic, TypeVar

import msgspec

from schemas.errors import StateError
from schemas.strict_json import UNREADABLE
from schemas.topics import RESERVED_KEY_PREFIX

FORMAT: Final = b"\x01"

# context.state
_RECORD: Final = b"/record"
_DAY: Final = b"/day/"
_MEMBER: Final = b"/member/"


def record_key(fragment: str) -> bytes:
    """The row of a fragment's record."""
    return fragment.encode() + _RECORD


def is_record_key(key: bytes) -> bool:
    """Whether the row is a fragment's record."""
    return key.endswith(_RECORD)


def days_prefix(fragment: str) -> bytes:
    """What the keys of all dedupe rows of a fragment start with; they sort by day."""
    return fragment.encode() + _DAY


def day_of_key(key: bytes) -> int:
    """The day of a dedupe row."""
    return int(key.split(b"/", 3)[2])


def day_prefix(fragment: str, day: int) -> bytes:
    """What the keys of a fragment's dedupe rows of one day start with."""
    return fragment.encode() + _day_part(day)


# Events of few days come at a time, each asking for its key.
@functools.lru_cache(maxsize=4096)
def _day_part(day: int) -> bytes:
    return _DAY + f"{day:06d}".encode() + b"/"


def member_prefix(owner: str) -> bytes:
    """What the keys of an owner's members start with."""
    return owner.encode() + _MEMBER


def member_key(owner: str, fragment: str) -> bytes:
    """The row of one member."""
    return member_prefix(owner) + fragment.encode()


def split_member_key(key: bytes) -> tuple[str, str] | None:
    """Owner and fragment of a member row's key; None for the key of another row."""
    owner, found, fragment = key.partition(_MEMBER)
    return (owner.decode(), fragment.decode()) if found else None


def fragment_of(key: bytes) -> str:
    """The fragment that a row of `context.state` belongs to."""
    return fragment_bytes(key).decode()


def fragment_bytes(key: bytes) -> bytes:
    """The same as it stands in keys."""
    return key.split(b"/", 1)[0]


# identity.links
_FRAGMENT: Final = b"f/"
_LINK: Final = b"e/"
# One digit, so that grades 1 to 3 sort as bytes, the best first.
_GRADE_ORDER: Final = 9


#: What the keys of all link rows start with, and those of all evidence; both sort by fragment.
LINK_ROW_PREFIX: Final = _FRAGMENT
EVIDENCE_ROW_PREFIX: Final = _LINK


def link_row_key(fragment: str) -> bytes:
    """The row of a fragment's place in the partition."""
    return _FRAGMENT + fragment.encode()


def evidence_prefix(fragment: str) -> bytes:
    """What the keys of all evidence that touches a fragment start with."""
    return _LINK + fragment.encode() + b"/"


def evidence_key(fragment: str, neighbour: str, grade: int, source: str) -> bytes:
    """One pair from one source in one grade. Each is kept under both its ends, so that a scan finds neighbours.

    The best grade sorts first: of an identifier with very many neighbours the first rows decide, and a scan stops.
    """
    order = b"/%d/" % (_GRADE_ORDER - grade)
    return b"".join((_LINK, fragment.encode(), order, neighbour.encode(), b"/", source.encode()))


def is_evidence_key(key: bytes) -> bool:
    """Whether the row is evidence."""
    return key.startswith(_LINK)


def split_evidence_key(key: bytes) -> tuple[str, str, int, str]:
    """Fragment, neighbour, grade and source of an evidence row's key."""
    _, fragment, order, neighbour, source = key.split(b"/", 4)
    return fragment.decode(), neighbour.decode(), _GRADE_ORDER - int(order), source.decode()


# Orders, in identity.links
_PAIR_ORDER: Final = b"o/"
_ORDER: Final = b"a/"
_UNDONE: Final = b"u/"
_SPLIT_IDENTIFIER: Final = b"s/f/"
_SPLIT_SOURCE: Final = b"s/s/"
#: The row of the policy in force, and that of the repair under way.
POLICY_ROW_KEY: Final = b"i/policy"
REPAIR_ROW_KEY: Final = b"i/repair"
#: What the keys of all orders of pairs start with; they sort by fragment.
PAIR_ORDER_PREFIX: Final = _PAIR_ORDER
#: What the keys of all operators' orders start with; they sort by id.
ORDER_PREFIX: Final = _ORDER
#: What the keys of all rows of split identifiers, and of split sources, start with.
SPLIT_IDENTIFIER_PREFIX: Final = _SPLIT_IDENTIFIER
SPLIT_SOURCE_PREFIX: Final = _SPLIT_SOURCE


#: Bits of `LinkRow.ordered`.
PAIR_ORDERS: Final = 1
SPLIT_OFF: Final = 2


def pair_orders_prefix(fragment: str) -> bytes:
    """What the keys of all orders of pairs that touch a fragment start with."""
    return _PAIR_ORDER + fragment.encode() + b"/"


def pair_order_key(fragment: str, neighbour: str, authority: int, name: str) -> bytes:
    """One order of a pair, kept under both its ends. `name` is a record's source, or the id of an operator's order.

    Of a record's orders of a pair only the newest of each source is kept; an operator's are all kept.
    """
    return b"".join((_PAIR_ORDER, fragment.encode(), b"/", neighbour.encode(), b"/%d/" % authority, name.encode()))


def split_pair_order_key(key: bytes) -> tuple[str, str, int, str]:
    """Fragment, neighbour, authority and name of the key of a pair's order."""
    _, fragment, neighbour, authority, name = key.split(b"/", 4)
    return fragment.decode(), neighbour.decode(), int(authority), name.decode()


def order_key(order: str) -> bytes:
    """The row of an operator's order, whole, by its id."""
    return _ORDER + order.encode()


def undone_key(order: str) -> bytes:
    """The row that says that an operator's order is undone."""
    return _UNDONE + order.encode()


def split_identifier_key(fragment: str, order: str) -> bytes:
    """The row of a standing order that splits an identifier off; `order` is empty where the policy does."""
    return _SPLIT_IDENTIFIER + fragment.encode() + b"/" + order.encode()


def split_identifier_prefix(fragment: str) -> bytes:
    """What the keys of all standing orders that split an identifier off start with."""
    return _SPLIT_IDENTIFIER + fragment.encode() + b"/"


def split_source_key(source: str, order: str) -> bytes:
    """The row of a standing order that splits off all that a source linked."""
    return _SPLIT_SOURCE + order.encode() + b"/" + source.encode()


def split_source_parts(key: bytes) -> tuple[str, str]:
    """Source and order of the key of a split source's row."""
    order, _, source = key.removeprefix(_SPLIT_SOURCE).partition(b"/")
    return source.decode(), order.decode()


class PairOrderRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an order says of a pair."""

    #: `schemas.orders.Verb`.
    verb: str
    time: int
    source: str
    id: str
    neighbour_kind: str
    #: Which of the two the other has replaced, or empty.
    former: str = ""


class OrderRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An operator's order as it was given; identifiers are fragment ids, their sealed values are in their rows."""

    id: str
    verb: str
    time: int
    fragments: tuple[str, ...]
    withdrawn_source: str
    author: str
    reason: str
    #: Where in identity.evidence it stands.
    offset: int


class UndoneRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who took an operator's order back, when and why."""

    id: str
    time: int
    author: str
    reason: str
    offset: int


class SplitRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Since when an identifier, or all that a source linked, is split off."""

    time: int


class PolicyRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The policy in force: what the rows beside it are decided by, or, while a repair runs, are coming to be."""

    #: JSON of `schemas.identity_policy.Policy`.
    policy: bytes
    #: The id of the change that put it in force; empty where it came with the first start.
    change: str
    time: int
    author: str
    reason: str
    offset: int
    #: The policy of the first start, as `policy`, once that is another one: contexts were published under it.
    first: bytes = b""


class RepairRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a repair has come. It goes over all fragments in the order of their ids."""

    #: The id of the order or policy that began it.
    run: str
    #: The source whose links changed; empty where all fragments are due.
    source: str
    #: The fragment id up to which all is done.
    cursor: str
    #: Fragments that were looked at, and those that were placed otherwise, so far.
    looked_at: int
    moved: int
    started: int
    #: Ids of orders, with their sources, whose repair waits for this one to end.
    waiting: tuple[tuple[str, str], ...] = ()
    #: Whether it still marks what the policy splits off, fragment by fragment; it decides again after that.
    marking: bool = False


class LinkRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where identity put a fragment. The lookup and intake read these."""

    kind: str
    sealed: bytes
    #: "home", "joined", "attached" or "shared".
    state: str
    #: Of a shared fragment, itself.
    owner: str
    grade: int
    epoch: int
    #: The offset of the evidence that first named it; `state.identity.evidence.UNFORMED` while only orders have.
    formed: int
    #: First sight, and the start of the newest 30-day bucket of sight; None while only orders have named it.
    first: int | None
    last: int | None
    #: Of a shared one, neighbours by whose owners readers may go on; at most CANDIDATES_MAX.
    candidates: tuple[str, ...] = ()
    #: Which stage of the partition placed it, for identity itself; see `state.identity.placement.Stage`.
    stage: int = 0
    #: Whether another identifier has replaced it, by the order that holds between the two.
    former: bool = False
    #: Which orders there are about it, so that nobody looks for those of the many that have none: PAIR_ORDERS if rows
    #: of orders of pairs name it, SPLIT_OFF if a standing order or the policy splits it off.
    ordered: int = 0


class EvidenceRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When a pair was first seen by a source, by which event, and the newest 30-day bucket of sight.

    `first` is the least (time, source, id). The neighbour's kind travels along: decisions look at few kinds of many.
    """

    first_time: int
    first_id: str
    last: int
    neighbour_kind: str


class PositionRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a partition of the input is applied, written in the checkpoint's transaction."""

    topic_id: str
    partitions: int
    era: int
    next_offset: int


#: Accepted gaps that a changelog's partition remembers.
ACCEPTED_GAPS_MAX: Final = 20
#: What the keys of their rows start with.
ACCEPTED_GAP_PREFIX: Final = RESERVED_KEY_PREFIX + b"gap/"


def accepted_gap_key(era: int) -> bytes:
    """The row of the gap whose acceptance began an era; the newest take the places of the oldest."""
    return ACCEPTED_GAP_PREFIX + b"%02d" % (era % ACCEPTED_GAPS_MAX)


def accepted_raw_gap_key(topic: str, partition: int) -> bytes:
    """The row, in `identity.links`, of the newest accepted gap of a partition that has no changelog of its own."""
    return ACCEPTED_GAP_PREFIX + f"{topic}/{partition}".encode()


class AcceptedGap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an operator gave up, written in the transaction that moves the position."""

    time_ms: int
    #: User and machine.
    accepted_by: str
    reason: str
    topic: str
    partition: int
    #: What was gone, in words.
    gone: str
    #: The era that it began; 0 where there is none.
    era: int
    next_offset: int


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


def encode_row(row: Any) -> bytes:
    """Format version and msgpack; equal rows give equal bytes."""
    return FORMAT + _ENCODER.encode(row)


Row = TypeVar("Row")


class RowDecoder(Generic[Row]):
    """Reads rows of one shape."""

    def __init__(self, shape: type[Row]) -> None:
        self._decoder = msgspec.msgpack.Decoder(shape)

    def decode(self, value: bytes) -> Row:
        """The row.

        Raises:
            StateError: a newer version wrote it, or it is damaged.
        """
        if value[:1] != FORMAT:
            raise StateError(
                f"a row has format {value[:1].hex() or 'none'}, this version reads {FORMAT.hex()}: upgrade to the "
                "version that wrote it"
            )
        try:
            return self._decoder.decode(memoryview(value)[1:])
        except UNREADABLE as error:
            raise StateError(f"a row is damaged ({error}): delete the data directory's state to restore it") from error
