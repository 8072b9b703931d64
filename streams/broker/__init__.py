"""Apache Kafka without Docker: fetched, verified, formatted, started and stopped by this program.

Owns: the list of Kafka's jars, the folder that holds them, the broker's configuration, directory, lock and process. It
makes no topics (`goldenthread init` does) and restarts nothing (the supervisor does).
Must not import: agents, connectors, goldenthread, and nothing else of `streams` but `lifeline`.
Read: options, local_broker, local_cluster, configuration, java, jars, fetch; then directory_lock and ports, which the
supervisor uses too, and pin, which a maintainer runs for a new Kafka version.
"""
