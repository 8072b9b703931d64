"""Grafana's dashboards, generated: `python -m dashboards` writes `grafana/dashboards/*.json`, which are checked in.

Beside them lie what Grafana is provisioned with, Prometheus' configuration, its rules and their tests. Nothing of ours
is imported here, nor this by anything else: tests hold the expressions to `streams/metrics.py`.

Read `expressions` and `panels`, then `dashboard`, then the three dashboards from general to special: `overview`,
`streams_and_state`, `customers`.
"""
