"""The load generator with known truth, the oracle that says what must come out, and what is measured and drilled by it.

Owns made-up people and their events, the registrations that go with them (`sources.yaml`), an independent answer to
"what must each context say", and loads that try the whole. It imports `schemas` and, to reach a broker, `streams`;
never `state` or `agents`: an oracle that shares code with what it judges would share its mistakes.

Read in this order: `population` (who there is), `behaviour` (what they do), `milestones` (how they become known),
`gatherings` (what happens to many at once), `generator` (events in order of arrival), `demo` (the small run of
`goldenthread up --demo`), `play` (events into the system), `oracle` (what must come out), `compare` (whether it did),
`enrichment` (what enriching costs), `avro` (what Avro costs).

Against peers and targets, as one report (`make bench`): `job/` (what all engines do, and what must come of it),
`peers/` (the other engines), `throughput/`, `freshness/`, `lookup_load/`, `restore/`, and `report/`.

Long loads: `steady_events` (events without an end), `raw_feed` (into the raw topics), `own_system` (a broker and
processes for one run), `memory` (what a process holds), `soak` and `overload`; and `drill/` (faults under load, and a
verdict), which `goldenthread drill` calls.
`python -m bench --help` has them all as commands.
"""
