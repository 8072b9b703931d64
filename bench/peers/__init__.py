"""The peers: what other engines make of the job, each as its own users would write it, run by one interface.

Owns the programs, each in a folder with the lock of its own environment and a README that says by which documentation
it is tuned; the environments; and `Peer`, by which the benchmark starts any of them. A program takes all it needs as
arguments, writes to topics that are there, says `ready` once it is assigned, and runs until SIGTERM. The programs
import nothing of ours: they run in environments of their own.

Read in this order: `environment` (where a program's packages are), `peer` (how a program is started, and what it
promises), then the folders `kafka_streams`, `quix` and `faust_table`.
"""
