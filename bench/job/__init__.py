"""The job that every engine does in the benchmark, and what must come of it (docs/benchmark-job.md).

Owns the events, the forms in which engines get them, an independent answer to "what must each document say", the
topics and their backlog, and the check that reads what an engine wrote. It imports `schemas` and, to reach a broker,
`streams`; never `state` or `agents`: the answer shares no code with what it judges.

Read in this order: `events` (what happens), `forms` (as bytes, for each engine), `persons` (the pipeline's population),
`reference` (what must come of it), `topics` and `feed` (where it lies), `outputs` and `check` (what came of it), `rate`
(how fast).
"""
