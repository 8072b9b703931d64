"""The contracts: what an event, an identifier, a message, a row, a document and a topic look like.

Owns every shape and name that crosses a process or outlives one, and the pure functions that read, check and
normalise them. Imports nothing of ours, and no Kafka, HTTP or RocksDB.

Read in this order: `errors` (the exception tree and the codes of dead letters), `topics` (the catalogue),
`event` (a CloudEvent in), `mapping` and `mapping_records` (what is none yet), `identifiers` and `identity_policy` with
`policy_file` and `policy_parts` (whose it is), `orders` and `record_orders` (what is said of that against all
evidence), `sources` (who may claim what) with `credentials` and `signatures` (how senders prove who they are),
`cleaning` (raw event to routed event), `enrichment/` (what it says between the lines), `messages` and `rows` (what
agents say and keep), `document` with `roles` and `levels` (a context out), `avro/` (the same in Avro). `event_schema`
and `asyncapi` describe all this for machines.
"""
