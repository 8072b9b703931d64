"""The hot paths of intake and of the context stage as a library in Rust, for whoever has a compiler.

Without one Python does it all. The library works on the bytes of records, rows and messages, where making Python's
objects of them costs most of the time. It takes in what is plain and refuses the rest, which then goes the general way,
`agents.intake` and `state.context`: those are complete, and what the library gives is the same to the byte. It knows no
Kafka, no keys, no clock, and no files but those that it is asked for: tables of a store (`table.rs`).

This package imports nothing but the standard library; `agents.compiled_intake` and `state.context.compiled` know what
to give it. No crates either.

Read `library.rs` (what Python calls). Of intake: `intake/mod.rs`. Of the context stage: `step.rs` and `entry.rs` (one
fragment's part of a drain), `fold.rs`, `view.rs`, `document.rs`. Here `sources` (where it lies), `loading` (finds and
calls it), `packing` (hands it texts), `answer` and `slice_answer` (read what it says) and `building` (`python -m
state.native` compiles it).
"""
