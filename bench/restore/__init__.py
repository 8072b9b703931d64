"""How fast state comes back: a restore and a follower, beside a Python loop that consumes the same and discards it."""

from bench.restore.measuring import RestorePlan, RestoreSpeed, lines, measure

__all__ = ["RestorePlan", "RestoreSpeed", "lines", "measure"]
