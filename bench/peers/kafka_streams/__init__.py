"""Kafka Streams as a peer: a program in Java, and how it is fetched, compiled and started.

Owns the sources below `java/`, the lists of the jars that it runs on and is compiled with, and the folder of its
classes. README.md says how it is tuned and by which pages of Kafka's documentation.

Read in this order: `command` (how the benchmark starts it), `building` (jars and classes), `pin` (which a maintainer
runs for other versions), then `java/customers/`: `Main`, `Job`, `Settings`, `RocksSettings`, `WarmUp`, and the two ways
to do the job: `usual/` (`UsualJob`, `Fold`, `Customer`, `Json`, `LookUp`) and `expert/` (`ExpertJob`,
`CustomerProcessor`, `Customer`, `CustomerCodec`, `EventReader`, `JsonWriter`).
"""
