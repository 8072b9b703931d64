"""The drill: a whole installation under load and faults, and a verdict on every answer it gave.

Owns the schedule of faults, the load with its truth, the canaries by which recovery is measured, the reading of what
came out, and the judgement. What is drilled it knows as an `Installation` only: `goldenthread.drill` makes one.
It imports `schemas`, `streams` and the rest of `bench`, never `state` or `agents`: what judges shares no code with what
is judged.

Read in this order: `schedule` (which fault when), `installation` (what can be done to what is drilled), `faults` (doing
it), `ordering` (orders about who is who), `workload` (what is sent), `senders` (sending it until it is taken),
`canaries` (how long nothing comes through), `outputs` (what committed records say), `contexts` (contexts against the
oracle), `verdict` (the counts), `run` (all of it in order).
"""
