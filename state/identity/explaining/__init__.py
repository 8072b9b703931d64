"""Why identifiers are one customer, or are not: the partition's decisions read back from evidence, orders and places.

Owns no rule: what holds, cuts and vetoes is asked of `state.identity.joining` and `attaching`, over the same graph and
the placements that were decided. Reads only, and every walk has a bound; what a bound left out is said (`cut`). Like
all of `state` it must not import anything but `schemas` and `state`.

Read in this order: `results` (what is found out), `walking` (bounded searches), `rules`, `support` (which links hold an
identifier where it is), `sharing` (why one is nobody's), `obstacles` (why a link joins nothing), `explainer`.
"""
