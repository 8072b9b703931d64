"""How many events a second the product and its peers take, in turns on one broker (docs/benchmark-job.md).

Owns the broker of a benchmark, the loads, the engines as processes, and one measured run. It imports `bench.job`,
`bench.peers`, `schemas` and `streams`; never `state` or `agents`.

Read in this order: `site` (the broker), `loads` (what is laid before an engine), `engines` (what runs), `process` and
`sampling` (how it is watched), `run` (one measurement), `rounds` (in turns, and the ratios), `parts` (a to f).
"""
