"""How much of the rows of `identity.links` stays decoded in memory."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheBounds:
    """How much of the rows stays decoded. The defaults take about 100 MB when full."""

    #: About 500 bytes each.
    placements_max: int = 50_000
    #: About 600 bytes each.
    identifiers_max: int = 30_000
    #: Identifiers whose neighbours are kept, and their neighbours, counted together: about 300 bytes each.
    neighbourhoods_max: int = 120_000
    #: Identifiers known to have very many neighbours. The first links of those that were met last are kept, and what
    #: few they have to their own kind: so many links of each sort.
    crowds_max: int = 20_000
    #: Of an identifier with more neighbours than this, rows are read each time, as few as a decision needs.
    neighbours_max: int = 64
    #: Orders of pairs that are kept decoded: about 400 bytes each.
    orders_max: int = 20_000
