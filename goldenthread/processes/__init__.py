"""The processes: worker, collect and lookup, each put together from the settings and run until it is told to stop.

Read in this order: `running` (what all have in common), `worker` with `worker_wire` (Avro, in and out),
`worker_snapshot` (copies of its stores, when asked) and `gap_watch` (what keeps it from going on), `native_memory`.
"""
