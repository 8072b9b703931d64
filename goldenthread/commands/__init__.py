"""The commands of `goldenthread`, a module for each group; `goldenthread.cli` registers them.

Each reads settings, calls what does the work, and prints; `--json` on every read prints one JSON document, or one per
line where there are many. Exit codes are those of `schemas.errors`.
"""
