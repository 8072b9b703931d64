"""The Segment HTTP API as a door of collect: SDKs that speak it work by changing their host.

Owns the paths, bodies, credentials and answers of that API. What a message means is said by a mapping file,
`connectors/collect/mappings/segment.yaml`, not here. Must not know Kafka: events leave through `collect.delivery`.

Read in this order: `door` (from request to answer), `body` (messages out of a body), `acceptance` (a message becomes an
event, or is set aside), `calls` (names and paths), `sdk_settings` (what SDKs ask for at their start).
"""
