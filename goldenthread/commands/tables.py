"""Tables for people, and what events said in them: shown as it is, but for what would steer a terminal."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

#: The control characters C0, DEL and C1, among them ESC, with which a producer could write over what an operator reads;
#: and those that turn the direction of a line.
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_REPLACEMENT: Final = "\ufffd"


def shown(value: Any) -> Text:
    """A value of an event as text of one line: no markup is read in it, and nothing in it steers the terminal."""
    return Text("" if value is None else CONTROL.sub(_REPLACEMENT, str(value)))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, unfolded: frozenset[str] = frozenset()) -> Table:
    """A table of values of events; columns that are `unfolded` keep to one line."""
    made = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in unfolded)
    for row in rows:
        made.add_row(*map(shown, row))
    return made
