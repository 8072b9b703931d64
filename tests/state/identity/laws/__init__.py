"""The laws of identity with orders: random logs through the real engines, against a plain reading of the rules.

`history` says what of a log counts, `expectation` what the rules make of it, `sequences` makes logs at random,
`running` drives the engines through them; `test_laws` compares. Nothing here but `running` knows the engine.
"""
