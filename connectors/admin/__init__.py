"""The admin service: orders about who is who over HTTP, from a copy of identity's rows, in a process of its own.

Owns the admin's copy, the orders on their way to `identity.evidence`, dry runs, their routes, and the client behind
`goldenthread identity`. Decides nothing itself: the identity agent reads what it writes. Must not import `agents` or
other connectors but `connectors.web`.

Read in this order: `layout` (the rows of the copy) and `projection` (records to rows), `customers` (who is who, for
people), `order_book` (orders as the copy has them), `questions` (what a request orders), `giving` (orders on their
way), `foreseeing` (what an order would do) in `slow_work`, `answers`, `problems`, `handlers` and `operations` (HTTP),
`service` (the process), `client`.
"""
