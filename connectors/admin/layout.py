"""The rows of the admin's copy: all of `identity.links` under its own keys, and where to find what it lists.

| key | value |
| --- | --- |
| as in `schemas.rows`: `f/`, `e/`, `o/`, `a/`, `u/`, `s/`, `i/`, and the position | the row as it came |
| `m/<owner>/<fragment>` | nothing: the fragment is the owner's |
| `t/<place>` | the id of the operator's order at that offset, newest first |
| `x/<fragment>/<place>` | the same, of the orders that name the fragment |

So an engine reads the copy as it reads its own store. A place is an offset counted down from the greatest there is.
"""

import struct
from typing import Final

#: Part of the folder's name: a version that packs rows differently builds its copy anew.
LAYOUT_VERSION: Final = 1
_PLACE: Final = struct.Struct(">Q")
_LAST: Final = (1 << 64) - 1
#: What the keys of all orders, newest first, start with.
NEWEST_ORDERS_PREFIX: Final = b"t/"
PRESENT: Final = b""


def members_prefix(owner: str) -> bytes:
    """What the keys of an owner's fragments start with."""
    return b"m/" + owner.encode() + b"/"


def member_key(owner: str, fragment: str) -> bytes:
    """The row that says whose a fragment is."""
    return members_prefix(owner) + fragment.encode()


def orders_of_prefix(fragment: str) -> bytes:
    """What the keys of all orders that name a fragment start with, newest first."""
    return b"x/" + fragment.encode() + b"/"


def place_key(prefix: bytes, offset: int) -> bytes:
    """The row of an order in a list that begins with the prefix."""
    return prefix + _PLACE.pack(_LAST - offset)
