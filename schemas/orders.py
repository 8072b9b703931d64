"""Orders about who is who: what may be ordered, and whose word it is.

An operator gives orders over the admin service; a system of record gives them by events of the types below. Orders
are evidence of their own sort in `identity.evidence`: of one pair the newest by (time, source, id) holds, an operator's
before a record's, so that a CRM that repeats itself each night does not undo a split. An operator's order that is
undone is as if it had never been given.
"""

from enum import IntEnum, StrEnum
from typing import Final


class Verb(StrEnum):
    """What an order says."""

    #: The pair is one customer.
    REQUIRE = "require"
    #: The pair is never one customer.
    FORBID = "forbid"
    #: Of a pair: as `forbid`. Of one identifier, or of a source: nothing that anybody, or that this source, ever
    #: linked to it counts, until the order is undone.
    SPLIT = "split"


class Authority(IntEnum):
    """Who stands behind a link: what events showed, a record's order, an operator's order."""

    EVIDENCE = 0
    RECORD = 1
    OPERATOR = 2


#: The `source` of every operator's order.
OPERATOR_SOURCE: Final = "operator"

#: What decisions that an undo, or another policy, brought about say instead of a verb.
UNDO: Final = "undo"
POLICY: Final = "policy"

#: Event types by which a system of record gives orders; its source is registered with grade `record` for them.
MERGED_EVENT: Final = "identity.merged"
REMOVED_EVENT: Final = "identity.removed"
REPLACED_EVENT: Final = "identity.replaced"

# The id of an operator's order comes in requests and stands in keys of rows, whose parts a slash divides.
ORDER_ID_LENGTH_MAX: Final = 64
ORDER_ID_PATTERN: Final = rf"[A-Za-z0-9._:-]{{1,{ORDER_ID_LENGTH_MAX}}}"
AUTHOR_LENGTH_MAX: Final = 128
REASON_LENGTH_MAX: Final = 500
# Each order of a pair stays for ever, with its author and reason; decisions read all of a pair.
OPERATOR_ORDERS_PER_PAIR_MAX: Final = 50
