"""What every HTTP service of ours shares: problems, limits, request ids, probes, metrics, OpenAPI, the socket.

Owns the shape of every error answer and the bounds of every connection. Knows no event, no customer and no Kafka:
services give it their operations and a report of readiness. Imports `streams.metrics`, `streams.logs` and `schemas`.

Read in this order: `operations` (how a service declares what it answers), `service` (operations to an application),
`problems` (every error answer), `requests` (reading bodies, by `gunzip` where they are encoded), `questions` (what
bodies and queries say), `boundary` (what surrounds each request), `access` (who may ask, and how often), `guard` (no
handler runs before that is known), `standard` (probes, metrics, version), `openapi`, `cors` (what browsers ask first),
`server` (the socket, from start to stop), and `json_client`, with which the command line asks.
"""
