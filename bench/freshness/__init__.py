"""Freshness: how long an event takes from its sender to the answers of the lookup, at a steady pace, hop by hop.

`client` sends to collect at fixed moments, whatever the answers, and asks the lookup for some of the events until it
shows them. `hops` finds all of them again on the topics, whose records say when they came. `measuring` puts it
together.
"""

from bench.freshness.measuring import Freshness, FreshnessPlan, lines, measure

__all__ = ["Freshness", "FreshnessPlan", "lines", "measure"]
