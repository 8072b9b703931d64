"""The runtime: Faust, and what this load needs in place of its per-record path and its tables.

Owns everything that talks to Kafka: the batch transport under Faust's agents, producers, the transactional checkpoint,
restore and followers (one bulk reader), the topics, freshness, the local broker, metrics and logs. Knows nothing of
what events mean: it moves records, and gives them to engines. Imports `state` and `schemas`, never `agents` or
`connectors`.

Read in this order: `kafka` with `kafka_security` (how every client is made, and logs in), `transport` (batches through
Faust) with `batch` (what travels) and `read_ahead` (how far they go ahead of the work), `tolerant_records` (header
names that are no UTF-8), `assignment` (who gets which partitions), `checkpoint` with `checkpoint_options` and
`transaction` (the commit, step by step), `missing_markers` with `transaction_admin` and `transaction_protocol` (taking
a partition over past what a broker left open), `checkpoint_size` (how much of it at once), `client_errors` (what the
client raises), `faults` (where tests and drills hit it), `restore` and `position` (where a partition goes on),
`partition` (a stateful partition from assignment to revocation), `retrying_engine` (a record that no engine can bear),
`stage`, `stateless` and `outbox` (what an agent does with its partitions), `idle_ends` (where idle ones go on),
`application` (the Faust app), `standstill` and `watchdog` (who ends a worker that does nothing), `group_coordinator`
(what a coordinator says of a whole group), `bulk`, `follower` and `followed_copy` (the bulk reader, followers, and when
a service may answer from what one keeps), `producer` and `recording_producer` (its twin without a broker), `topics` and
`rights` (what a broker has, and what it refuses), `freshness`, `dead` with `dead_retries` (letters, and what became of
those that were sent again), `broker/` with `lifeline`, `metrics` with `store_metrics`, `logs`.

Of gaps: `group` (committed offsets), `gaps` (what is gone, judged and said), `gap_search` (found), `acceptance` with
`announcing` (how an operator goes on).

Of a schema registry: `registry_client` (its HTTP API), `registry` (ids and schemas), `registry_away` (what to do
without it), `wire` (records out), `wire_input` and `wire_reader` (records in, for workers and for our own readers),
`fake_registry` (one in memory). For diagnoses: `broker_features`.

Of stores on disk: `store_state` (whether one can be gone on with), `restore_progress`, `store_verification` and
`store_comparison` (behind `goldenthread state verify`).
"""
