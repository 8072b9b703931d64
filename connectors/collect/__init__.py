"""Into Kafka: events over HTTP, and files with a mapping. Both write to `raw.<channel>`.

Owns what stands between a sender and the raw topics. Must not import the lookup or the agents: what an event is and
whether it is acceptable is asked of `schemas`.

Read in this order: `service` (the doors and what they run on), `delivery` (what all doors share), `cloud_events_door`
(one of them, from request to answer), `event_gate` (what is let through), `cloud_events_http`, `event_problems`,
`broker_readiness`, `event_schema`; the lenient doors: `sorting` (good records and bad ones), `segment/`, and
`webhook_door` with `webhook_request` and `mapped_events`; for files the modules that start with `files`. All but the
first door set bad ones aside, by `setting_aside`. `mapping_check` and `samples` try a mapping on records of a file.
"""
