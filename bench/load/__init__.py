"""Open load over HTTP: requests that are sent when they are due, whatever the answers, and what their latencies were.

Read `latencies` (percentiles, and from when a latency counts), `connections` (a client that costs little), `sending`
(the load itself), `process` (the same in a process of its own, so that it shares no interpreter with whoever measures).
"""
