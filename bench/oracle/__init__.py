"""The oracle: what each customer's context must be, worked out from all events at once in the plainest way.

It sorts, groups and loops over everything, keeps no state between events, and shares no code with the program that
it judges: it reads the same rules and writes them down a second time. It is as slow as that sounds.

Read in this order: `kinds` (the table of identifiers), `orders` (what was ordered about who is who), `reading` (raw
events to plain ones), `partition` (who is who), `enriching` (what traits become), `fragments` (one identifier's
events), `documents` (one customer's context), `expectation` (what each lookup must answer).
"""

from bench.oracle.expectation import Expectation, expect
from bench.oracle.orders import PlainOrder, PlainUndo

__all__ = ["Expectation", "PlainOrder", "PlainUndo", "expect"]
