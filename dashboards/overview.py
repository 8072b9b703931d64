"""Overview: are contexts fresh and correct, and rate, errors and durations of everything at a glance."""

from typing import Final

from dashboards.dashboard import Dashboard, Row
from dashboards.expressions import largest, metric, quantile, rate, ratio, top
from dashboards.panels import Panel, Query, stat

_NO_PROBES: Final = 'route!~"/livez|/readyz|/metrics"'
_REQUESTS: Final = "http_request_duration_seconds"
_FAILED: Final = f'{_NO_PROBES},status=~"5.."'

_FRESH_AND_CORRECT: Final = Row(
    "Are contexts fresh and correct?",
    (
        stat(
            "Freshness",
            "Age of the oldest event that is in no context yet; 0 when nothing waits anywhere.",
            "s", largest("lag_seconds"), ("green", None), ("yellow", 10), ("red", 60),
        ),
        stat(
            "Receipt to sight, p99",
            "Time from the broker's receipt of an event until the lookup shows it, for 99 events of 100.",
            "s", quantile(0.99, "end_to_end_duration_seconds"), ("green", None), ("yellow", 2), ("red", 10),
        ),
        stat(
            "Dead letters",
            "Share of events that could not be used and lie in `dead` with the reason.",
            "percentunit", ratio(rate("dead_letters_total"), rate("events_received_total", 'stage="intake"')),
            ("green", None), ("yellow", 0.001), ("red", 0.01),
        ),
        stat(
            "Failed requests",
            "Share of requests answered with 5xx by any service; probes are left out.",
            "percentunit",
            ratio(rate(f"{_REQUESTS}_count", _FAILED), rate(f"{_REQUESTS}_count", _NO_PROBES)),
            ("green", None), ("yellow", 0.01), ("red", 0.05),
        ),
        stat(
            "Down or not ready",
            "Processes that do not answer, or answer that they can't work yet.",
            "short", 'count(up{job=~"goldenthread-.*"}) - sum(goldenthread_ready)',
            ("green", None), ("red", 1),
        ),
        stat(
            "Customers",
            "Customers that have a context.",
            "short", f"sum({largest('contexts', by='level')})",
        ),
    ),
)  # fmt: skip

_RATE: Final = Row(
    "Rate",
    (
        Panel(
            "Events in, by channel",
            "Events that intake read from the raw topics, whoever wrote them there.",
            "eps", (Query(rate("events_received_total", 'stage="intake"', by="channel"), "{{channel}}"),), stacked=True,
        ),
        Panel(
            "Events applied",
            "Events that became part of a context, and copies that were recognised.",
            "eps",
            (Query(rate("events_processed_total", 'stage="context",outcome=~"applied|duplicate"', by="outcome"),
                   "{{outcome}}"),),
        ),
        Panel(
            "Requests",
            "HTTP requests by service and route, the ten most frequent; probes are left out.",
            "reqps",
            (Query(top(10, rate(f"{_REQUESTS}_count", _NO_PROBES, by="service, route")), "{{service}} {{route}}"),),
        ),
        Panel(
            "Records that wait",
            "Of each topic, records that nobody has processed yet.",
            "short", (Query(f"sum by (topic) ({largest('lag_records', by='topic, partition')})", "{{topic}}"),),
        ),
    ),
)  # fmt: skip

_ERRORS: Final = Row(
    "Errors",
    (
        Panel(
            "Dead letters, by reason",
            "Events that were set aside in `dead`, the ten most frequent; docs/dead-letters.md explains the codes.",
            "eps", (Query(top(10, rate("dead_letters_total", by="stage, code")), "{{stage}} {{code}}"),),
        ),
        Panel(
            "Turned away",
            "Events that went no further and are in no dead letter, copies apart: senders were told, or the log.",
            "eps",
            (Query(rate("events_dropped_total", 'intentional="false"', by="stage, reason"), "{{stage}} {{reason}}"),),
        ),
        Panel(
            "Failed requests",
            "Requests answered with 5xx, by service and status; probes are left out.",
            "reqps",
            (Query(rate(f"{_REQUESTS}_count", _FAILED, by="service, status"),
                   "{{service}} {{status}}"),),
        ),
        Panel(
            "Requests without a fitting key",
            "Refused for want of a token or write key, for the wrong one, or for too many requests.",
            "reqps", (Query(rate("requests_refused_total", by="service, reason"), "{{service}} {{reason}}"),),
        ),
    ),
)  # fmt: skip

_DURATION: Final = Row(
    "Duration",
    (
        Panel(
            "Receipt to sight",
            "Time from the broker's receipt of an event until the lookup shows it.",
            "s", tuple(Query(quantile(which, "end_to_end_duration_seconds"), f"p{which * 100:g}")
                       for which in (0.5, 0.95, 0.99)),
        ),
        Panel(
            "Freshness",
            "Age of the oldest event that is in no context yet.",
            "s", (Query(largest("lag_seconds"), "oldest event"),),
        ),
        Panel(
            "Requests",
            "Durations of HTTP requests by service; probes are left out.",
            "s", tuple(Query(quantile(which, _REQUESTS, _NO_PROBES, by="service"), f"{{{{service}}}} p{which * 100:g}")
                       for which in (0.5, 0.99)),
        ),
        Panel(
            "Batches",
            "Time for one batch of records, at the 99th percentile, by stage.",
            "s", (Query(quantile(0.99, "batch_duration_seconds", by="stage"), "{{stage}}"),),
        ),
    ),
)  # fmt: skip

_PROCESSES: Final = Row(
    "Processes",
    (
        Panel(
            "Ready",
            "Whether each process says that it can work; `/readyz` has the reason where it can't.",
            "bool_yes_no", (Query(f"max by (instance) ({metric('ready')})", "{{instance}}"),), "state-timeline",
            (("red", None), ("green", 1)),
        ),
        Panel(
            "Versions",
            "What runs where.",
            "short", (Query(f"max by (instance, service, version) ({metric('build_info')})", "{{instance}}"),), "table",
        ),
    ),
)  # fmt: skip

OVERVIEW: Final = Dashboard(
    "goldenthread-overview",
    "Goldenthread: overview",
    "Are contexts fresh and correct? Rate, errors and durations of all parts.",
    (_FRESH_AND_CORRECT, _RATE, _ERRORS, _DURATION, _PROCESSES),
)
