"""The context stage's hot path as a library in Rust, for whoever has a compiler; without one Python does it all.

The library works on the bytes of rows and messages, where making Python's objects of them costs most of the time. It
takes in what is plain and refuses the rest, which then goes the general way, `state.context`: that one is complete, and
what the library gives is the same to the byte. It knows no Kafka and no clock, and no files but those that it
is asked for: tables of a store (`table.rs`).

This package imports nothing but the standard library; `state.context.compiled` knows what to give it. No crates either.

Read `library.rs` (what Python calls), `step.rs` and `entry.rs` (one fragment's part of a drain), `fold.rs`, `view.rs`,
`document.rs`; here `sources` (where it lies), `loading` (finds and calls it),
`answer` (reads what it says) and `building` (`python -m state.native`
compiles it).
"""
