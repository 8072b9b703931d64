"""The Faust agents, thin: they give engines of `state` and cleaning of `schemas` to stages of `streams`.

Owns which stage reads which topic and what runs in it. Imports `streams`, `state` and `schemas`; no HTTP.

Read in this order: `intake` (raw events: map, clean, enrich, route) with `known_evidence` and `compiled_intake` (the
usual of it by the library in Rust: `compiled_settings`, `compiled_answers`), `identity` (evidence), `context`
(fragments and customers), `stages` (the stateful ones, for whoever looks at all of them).
"""
