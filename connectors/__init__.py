"""The edges: events into Kafka (`collect`), contexts out over HTTP (`serve`), and what HTTP services share (`web`).

Owns every protocol that others speak to us. Imports `streams`, `state` and `schemas`; never `agents`, whose work
reaches it through topics alone.

Read in this order: `web` (one error shape, probes, OpenAPI), `collect`, `serve`.
"""
