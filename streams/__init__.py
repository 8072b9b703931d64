"""The runtime: Faust, and what this load needs in place of its per-record path and its tables.

Owns everything that talks to Kafka: the batch transport under Faust's agents, producers, the transactional checkpoint,
restore and followers (one bulk reader), the topics, freshness, the local broker, metrics and logs. Knows nothing of
what events mean: it moves records, and gives them to engines. Imports `state` and `schemas`, never `agents` or
`connectors`.

Read in this order: `kafka` (how every client is made), `transport` (batches through Faust), `tolerant_records`
(header names that are no UTF-8), `assignment` (who gets which partitions), `checkpoint` and `transaction` (the commit,
step by step), `partition` (a stateful partition from assignment to revocation), `stage` and `stateless` (what an agent
does with its partitions), `application` (the Faust app), `bulk` and `follower` (restore and followers), `producer`,
`topics`, `freshness`, `dead`, `broker/`, `metrics`, `logs`.
"""
