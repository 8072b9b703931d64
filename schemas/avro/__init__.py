"""Avro: the schemas of the public topics, how documents are written by them, and how any Avro is read safely.

Owns the `.avsc` files beside this module, the released ones under `released/<version>/`, Confluent framing, and what
counts as a compatible change. Knows no registry and no HTTP: whoever has a schema's id brings it along. Must not import
anything but `schemas`.

Read in this order: `framing` (what lies before the body), `public_schemas` (the files), `writing` (a public topic's
JSON to Avro), `reading`, `values` and `logical` (Avro of any schema to JSON, within bounds), `compatibility` (what may
change).
"""
