"""Identity: which identifiers belong to one customer, as a pure function of evidence, orders and policy.

Owns the staged partition, its incremental twin, homes and grades, and the engine that turns evidence into rows of
`identity.links` and into ownership messages. Must not know Kafka, HTTP or a clock, nor import anything but `schemas`
and `state.engine`.

Read in this order: `evidence` (what is known of pairs, and the graph that the rules read), `placement` (what the rules
decide), `kinds` (the order of kinds), `joining` (stage 1) and `attaching` (stage 2), `chains` (how sure a member is),
`partition` (the whole at once, the shortest statement of the rules), `touched` and `recomputation` (what changed, and
what that touches), `orders`, `shown_evidence`, `evidence_rows` and `link_rows` (rows of orders and of evidence, and
the graph over rows, which obeys them) with `neighbourhood`, `near_links`, `bounded_cache` and `cache_bounds` (what of
it stays in memory), `shapes` (small customers, of whom the rules were asked before), `changes` (decisions as people
and downstream read them), `eras` (numbers that go on growing after a gap), `reading` (messages), `ordering` (what an
order changes), `telling` (what is said), `guard` (who raises alarms by it) and `deciding` (all that decides),
`strangers` (two that nobody has named before, at once), `repair` and `repairing` (what a large change touched is
decided again, step by step, under `policy_in_force`), `engine`. Then what only reads: `overlay` (rows over rows),
`moves`, `trial` and `rehearsal` (what messages, or a policy, would do), `clusters` and `suspects` (customers and
identifiers to look at), `explaining/` (why).
"""
