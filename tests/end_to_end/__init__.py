"""The whole system from outside: real processes on a real Kafka, asked only what users can ask.

Each test starts `goldenthread up` (`tests.running_system`) or shares one that is running, and knows nothing of what is
inside: events go in by HTTP, Kafka or a file, and everything is judged by the lookup, the public topics, `dead`, the
metrics, exit codes and what is printed.

- `test_demo`: from an empty folder to an answer, the way `make run` goes, with a broker of its own;
- `test_exactness`: everything is exact, by the oracle of `bench`, while workers are killed, join and leave;
- `test_complaints`: a real file, imported twice and backwards;
- `test_bad_input`, `test_lookups`, `test_commands`: one running system, shared;
- `test_refusals`: what is set up wrong stops at the start and says what to do.
"""
