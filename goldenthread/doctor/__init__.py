"""Checks of an installation: each looks at one thing, says what it found and what to do, and changes nothing.

Owns: findings, the checks, and how they are run within a bounded time. It repairs nothing and starts nothing.
Must not import: goldenthread.commands, goldenthread.processes.
Read: finding, examination, running; then the checks by what they look at: configuration, access, machine, versions,
services, broker, topics, records, registry; and checklist, which puts them in order.
"""
