"""How fast identity is: merges of large customers in a running system, new links a second, and a million identifiers.

Owns the evidence to measure with, and the measurements. Must not import `state` or `agents`, like all of `bench`: the
stage by itself comes from `goldenthread.identity_alone`.

Read in this order: `population` (evidence of customers that look like customers), `alone` (the stage by itself, over a
store on disk: links a second, memory, disk), `running` (links a second through a broker and a worker, and customers of
a thousand fragments that become one and two again, as the lookup shows it).
"""
