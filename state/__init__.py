"""Pure state: what an event does to a fragment, fragments to a context, evidence to the partition of identifiers.

Owns fold and join, dedupe, ownership, the identity graph, the partition store on RocksDB, and a compiled library that
does the usual of it faster. Knows no Kafka and no HTTP; imports `schemas` only.

Read in this order: `engine` (what a stateful agent is made of), `fragment` and `fold`, `join` with `winners`, `former`
and `bundle` (what it is made of), `trait_explanation` (what it decided of a trait), `dedupe`, `context` (the engine
behind agents/context), `native/` (the usual of it, and of intake, over bytes, in Rust), `recent` (what was made of
bytes, kept), `identity/` (the engine behind agents/identity), `announcement` (owners told again after a gap), `store`
with `store_cache` (the memory of all stores), what it tells of itself (`store_statistics`), its folder when something
is wrong with it (`store_folder`), its rows as they were at one moment (`frozen_rows`), and copies of it (`snapshot`).
"""
