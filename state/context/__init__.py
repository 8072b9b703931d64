"""The engine behind agents/context: what one partition of `routed` does to records, members and documents.

Owns the rows of `context.state` but for dedupe's, and everything that the context stage writes. Like all of
`state`, it imports `schemas` only and knows no Kafka.

Read in this order: `rows` (what is kept), `entries` (the cache that holds it between checkpoints), `engine` (apply
and drain), `document` and `changes` (what is published), `regoverning` (what is published again under another policy),
`letters` (what is refused).
"""
