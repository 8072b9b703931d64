"""The processes: what all have in common, and the worker, put together from the settings, until it is told to stop.

Read in this order: `running` (what all have in common), `worker` with `worker_wire` (Avro, in and out),
`worker_snapshot` (copies of its stores, when asked), `gap_watch` (what keeps it from going on) and `policy_watch` (what
keeps it to the policy in force), `native_memory`.
"""
