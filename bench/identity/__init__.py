"""Measured quality of identity: whose each event is in truth, and what a lookup then says.

Owns a labelled population that is hard on purpose, the same records for other ways of linking them, the scores, and
the table. Goldenthread itself is measured from outside, as a running system: events in by Kafka, answers by the
lookup. Like all of `bench` it imports `schemas` and `streams`, never `state` or `agents`. It reads no clock and draws
from seeded dice alone, so that a seed gives the same events for ever.

Read in this order: `shares` (how much of what goes wrong), `people` (who there is), `draft`, `registering` (what
happens once), `acting` (what people do from day to day), `mishaps` (what goes wrong), `stream` (events in order of
arrival, with their truth), `records` (what intake makes of them), `clusters` (scores of an assignment of events),
`exposure` (lookups that show another's trait), `baselines` (other ways, and the ceiling), `splink_way` and `splink_job`
(splink, in an environment of its own), `running` (Goldenthread), `measure` (a whole run), `table` (what is written
down).
"""
