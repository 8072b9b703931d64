"""Records of `identity.links` to rows of the admin's copy; pure but for reading rows."""

from collections.abc import Mapping, Sequence

from connectors.admin.layout import (
    NEWEST_ORDERS_PREFIX,
    PRESENT,
    member_key,
    orders_of_prefix,
    place_key,
)
from schemas.rows import LINK_ROW_PREFIX, ORDER_PREFIX, LinkRow, OrderRow, RowDecoder
from state.engine import Rows
from streams.bulk import Record

_LINK_ROW = RowDecoder(LinkRow)
_ORDER_ROW = RowDecoder(OrderRow)


def project(records: Sequence[Record], rows: Rows) -> Mapping[bytes, bytes | None]:
    """The changed rows; None deletes.

    Raises:
        StateError: a newer version wrote a row.
    """
    changes: dict[bytes, bytes | None] = {}
    for record in records:
        key = record.key
        if key is None:
            continue
        before = changes[key] if key in changes else rows.get(key)
        if key.startswith(LINK_ROW_PREFIX):
            fragment = key.removeprefix(LINK_ROW_PREFIX).decode()
            if before is not None:
                changes[member_key(_LINK_ROW.decode(before).owner, fragment)] = None
            if record.value is not None:
                changes[member_key(_LINK_ROW.decode(record.value).owner, fragment)] = PRESENT
        elif key.startswith(ORDER_PREFIX):
            for value in (before, record.value):
                listed = [] if value is None else _places(_ORDER_ROW.decode(value))
                changes |= dict.fromkeys(listed, key.removeprefix(ORDER_PREFIX) if value is record.value else None)
        changes[key] = record.value
    return changes


def _places(order: OrderRow) -> list[bytes]:
    prefixes = (NEWEST_ORDERS_PREFIX, *map(orders_of_prefix, order.fragments))
    return [place_key(prefix, order.offset) for prefix in prefixes]
