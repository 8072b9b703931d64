"""The load generator with known truth, the oracle that says what must come out, and the comparison of the two.

Owns made-up people and their events, the registrations that go with them (`sources.yaml`), and an independent answer
to "what must each context say". It imports of ours only `schemas`, never `state` or `agents`: an oracle that shares
code with what it judges would share its mistakes.

Read in this order: `population` (who there is), `behaviour` (what they do), `milestones` (how they become known),
`gatherings` (what happens to many at once), `generator` (events in order of arrival), `demo` (the small run of
`goldenthread up --demo`), `play` (events into the system), `oracle` (what must come out), `compare` (whether it did),
`enrichment` (what enriching costs), `avro` (what Avro costs).
`python -m bench --help` has them all as commands.
"""
