"""Customers: what they send, who is who and how sure that is, what enrichment adds, and who asks."""

from typing import Final

from dashboards.dashboard import Dashboard, Row
from dashboards.expressions import increase, largest, metric, quantile, rate, ratio
from dashboards.panels import Panel, Query, stat

_CONTEXTS: Final = largest("contexts", by="level")
_IDENTIFIED: Final = largest("contexts", 'level="identified"', by="level")
_IDENTIFIERS: Final = largest("identifiers", by="role")
_SHARED: Final = largest("identifiers", 'role="shared"', by="role")
_BY_CHANNEL: Final = increase("events_received_total", "$__range", 'stage="intake"', by="channel")

_NOW: Final = Row(
    "Now",
    (
        stat("Customers", "Customers that have a context.", "short", f"sum({_CONTEXTS})"),
        stat("Identified", "Share of customers known by an identifier that a login or a system of record vouches for.",
             "percentunit", f"sum({_IDENTIFIED}) / clamp_min(sum({_CONTEXTS}), 1)"),
        stat("Shared identifiers", "Share of linked identifiers that several people use, which belong to nobody.",
             "percentunit", f"sum({_SHARED}) / clamp_min(sum({_IDENTIFIERS}), 1)",
             ("green", None), ("yellow", 0.05), ("red", 0.2)),
        stat("Merges today", "Customers that became part of another one, within 24 hours.", "short",
             increase("identity_changes_total", "24h", 'change="merged"')),
        stat("Look-ups", "Questions for a customer.", "reqps", rate("lookups_total")),
        stat("Found", "Share of look-ups that found a customer.", "percentunit",
             ratio(rate("lookups_total", 'outcome="found"'), rate("lookups_total"))),
    ),
)  # fmt: skip

_EVENTS: Final = Row(
    "Events",
    (
        Panel("Events, by channel", "Events that intake read.", "eps",
              (Query(rate("events_received_total", 'stage="intake"', by="channel"), "{{channel}}"),), stacked=True),
        Panel("Channels in the chosen time", "Events that intake read, by channel.", "short",
              (Query(f"sort_desc({_BY_CHANNEL})", "{{channel}}"),), "bargauge", width=12),
        Panel("Events over HTTP", "Events that collect took, by channel; producers may also write to Kafka themselves.",
              "eps", (Query(rate("events_received_total", 'stage="collect"', by="channel"), "{{channel}}"),),
              stacked=True),
        Panel("Copies", "Events that had come before, and were not counted again.", "eps",
              (Query(rate("duplicates_total"), "copies"),)),
    ),
)  # fmt: skip

_IDENTITY: Final = Row(
    "Who is who",
    (
        Panel("Customers, by level", "identified: vouched for by a login or a record; recognised: by a claim or a "
              "telephone; anonymous: by a browser or a device; shared: an identifier of several people.", "short",
              (Query(_CONTEXTS, "{{level}}"),), stacked=True),
        Panel("Linked identifiers, by role", "home: its customer's id is its own; joined: surely the same customer's; "
              "attached: belongs to a customer, joins nobody to it; shared: nobody's.", "short",
              (Query(_IDENTIFIERS, "{{role}}"),), stacked=True),
        Panel("Decisions", "What identity decided, each hour.", "short",
              (Query(increase("identity_changes_total", "1h", by="change"), "{{change}}"),)),
        Panel("Undone or refused", "Splits, vetoes, and identifiers that turned out to be shared, each hour. A jump "
              "means a source that sends one identifier for many people.", "short",
              (Query(increase("identity_changes_total", "1h", 'change=~"split|vetoed|shared|unshared"', by="change"),
                     "{{change}}"),)),
        Panel("Links that join nothing", "By what stands against them, each hour: an order, a second value of a kind "
              "of which a customer has one, or the limit on identifiers of one customer.", "short",
              (Query(increase("identity_vetoes_total", "1h", by="reason"), "{{reason}}"),)),
        Panel("Alarms of growth", "Times each hour that a customer grew too large (large_cluster) or too fast "
              "(fast_growth), or that too many identifiers turned out to be shared. The worker's log names them.",
              "short", (Query(increase("identity_alarms_total", "1h", by="alarm"), "{{alarm}}"),)),
        Panel("Identifying identifiers of one customer", "Of customers whose links were joined again: the median, and "
              "the largest hundredth. People have a handful.", "short",
              tuple(Query(quantile(which, "identity_cluster_identifiers"), f"p{which * 100:g}")
                    for which in (0.5, 0.99))),
        Panel("Customers of very many identifiers", "Of those with 64 or more, each time that one is published: the "
              "median, and the largest hundredth.", "short",
              tuple(Query(quantile(which, "customer_members"), f"p{which * 100:g}") for which in (0.5, 0.99))),
    ),
)  # fmt: skip

_ENRICHMENT: Final = Row(
    "Enrichment",
    (
        Panel("Looks of enrichers", "Fields that enrichers looked at, by what came of it.", "ops",
              (Query(rate("enrichments_total", by="enricher, outcome"), "{{enricher}} {{outcome}}"),)),
        Panel("Failed looks", "Share of an enricher's looks that failed; the field is marked, the event goes on.",
              "percentunit",
              (Query(ratio(rate("enrichments_total", 'outcome="failed"', by="enricher"),
                           rate("enrichments_total", by="enricher")), "{{enricher}}"),), maximum=1),
    ),
)  # fmt: skip

_LOOKUPS: Final = Row(
    "Look-ups",
    (
        Panel("Look-ups, by what was asked by", "An id, an identifier in the path, several in a body, or interactions.",
              "reqps", (Query(rate("lookups_total", by="by"), "{{by}}"),), stacked=True),
        Panel("Look-ups, by outcome", "catching_up is answered with 503: the copy is not complete yet.", "reqps",
              (Query(rate("lookups_total", by="outcome"), "{{outcome}}"),), stacked=True),
        Panel("Who watches live", "Browsers and programs that follow server-sent events.", "short",
              (Query(f"max by (instance) ({metric('sse_clients')})", "{{instance}}"),)),
    ),
)  # fmt: skip

CUSTOMERS: Final = Dashboard(
    "goldenthread-customers",
    "Goldenthread: customers",
    "What customers send, who is who and how sure that is, what enrichment adds, and who asks for them.",
    (_NOW, _EVENTS, _IDENTITY, _ENRICHMENT, _LOOKUPS),
)
