"""Panels: what is shown, with its unit and what it means, as Grafana's JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
GRID_WIDTH: Final = 24
#: Width of a panel in the grid of 24 columns, and its height, by its type.
_SIZES: Final = {
    "stat": (4, 4), "timeseries": (12, 8), "bargauge": (8, 8), "state-timeline": (12, 8), "table": (12, 8),
}  # fmt: skip

Kind = Literal["stat", "timeseries", "bargauge", "state-timeline", "table"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """One expression, and how its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: What is asked.
        description: What the answer means, for somebody who sees it for the first time.
        unit: Grafana's name of the unit.
        queries: Their series are shown together.
        kind: Grafana's type of the panel.
        thresholds: Colours with the value from which each holds, for stats; the first holds from the start.
        width: In the grid's columns; the type's usual one where nothing is said.
        stacked: Whether series stand on each other.
        maximum: The end of the axis, for ratios.
    """

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = "timeseries"
    thresholds: Sequence[tuple[str, float | None]] = field(default=(("green", None),))
    width: int | None = None
    stacked: bool = False
    maximum: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in the grid."""
        width, height = _SIZES[self.kind]
        return self.width or width, height

    def encoded(self, number: int, x: int, y: int) -> Json:
        """The panel at a place of the grid."""
        width, height = self.size
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": height, "w": width, "x": x, "y": y},
            "targets": [self._target(query, place) for place, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
            "transformations": _TABLE if self.kind == "table" else [],
        }

    def _target(self, query: Query, place: int) -> Json:
        instant = self.kind in ("table", "bargauge")
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expression,
            "format": "table" if self.kind == "table" else "time_series",
            "instant": instant,
            "legendFormat": query.legend,
            "range": not instant,
            "refId": chr(ord("A") + place),
        }

    def _defaults(self) -> Json:
        steps = [{"color": color, "value": value} for color, value in self.thresholds]
        defaults: Json = {
            "unit": self.unit,
            "color": {"mode": "palette-classic" if self.kind == "timeseries" else "thresholds"},
            "thresholds": {"mode": "absolute", "steps": steps},
            "custom": {},
            "mappings": [],
        }
        if self.kind != "table":
            defaults["min"] = 0
        if self.maximum is not None:
            defaults["max"] = self.maximum
        if self.kind == "timeseries":
            defaults["custom"] = {
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if self.stacked else 0, "showPoints": "never",
                "spanNulls": False, "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            }  # fmt: skip
        elif self.kind == "state-timeline":
            defaults["custom"] = {"fillOpacity": 70, "lineWidth": 0}
            defaults["mappings"] = [{"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "yes"}}}]
        return defaults

    def _options(self) -> Json:
        last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        if self.kind == "stat":
            several = len(self.queries) > 1
            return {
                "reduceOptions": last, "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
                "orientation": "auto", "textMode": "value_and_name" if several else "auto",
            }  # fmt: skip
        if self.kind == "bargauge":
            return {"reduceOptions": last, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}
        if self.kind == "table":
            return {"showHeader": True, "cellHeight": "sm"}
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
        if self.kind == "state-timeline":
            return {"legend": legend, "showValue": "never", "rowHeight": 0.8, "mergeValues": True}
        legend |= {"displayMode": "table", "calcs": ["mean", "max", "lastNotNull"]}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


_TABLE: Final = [
    {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True, "__name__": True}}},
]


def stat(
    title: str, description: str, unit: str, expression: str, *thresholds: tuple[str, float | None], legend: str = ""
) -> Panel:
    """One number, coloured by whether it is good."""
    query = Query(expression, legend or title)
    return Panel(title, description, unit, (query,), "stat", thresholds or (("blue", None),))
