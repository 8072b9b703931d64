"""Enrichment: traits made comparable, and what an event says between the lines, after cleaning and before the fold.

Owns the enrichers, one file each in the same inner order (names and bounds, then the function that reads a text, then
`enricher`, which puts it together), and the order in which they run. Imports nothing of ours but `schemas`. Every
enricher is a pure function of one text and a region; it can neither see nor change whose event it is.

Read in this order: `names` (what there is, and what it derives), `reading` (what an enricher is and says), the
enrichers `phone`, `email_address`, `name`, `utc_time`, `device` and `language`, `registry`, `enrichment` (all of them
over one event).

Nothing is imported here: settings need the names alone, and the libraries behind the enrichers take a while to load.
"""
