"""A dashboard: rows of panels, laid out from left to right, with the variables and links that all of ours share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.expressions import metric
from dashboards.panels import DATASOURCE, GRID_WIDTH, Json, Panel

#: What Grafana 11.6 writes; it and everything later read it as it is.
SCHEMA_VERSION: Final = 41
TAG: Final = "goldenthread"
# Grafana keeps an own one for what is marked by hand.
_OWN_ANNOTATIONS: Final = {
    "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Variable:
    """A choice at the top: all values of a label of a metric."""

    name: str
    label: str
    metric: str
    description: str


INSTANCE: Final = Variable("instance", "Instance", "goldenthread_build_info", "Processes that are shown.")


@dataclass(frozen=True)
class Dashboard:
    """One dashboard. `uid` is for ever: bookmarks and links name it."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = (INSTANCE,)

    def encoded(self) -> Json:
        """Grafana's JSON, the same each time."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [_links()],
            "annotations": {"list": [_OWN_ANNOTATIONS, *_annotations()]},
            "templating": {"list": [_datasource(), *(_variable(one) for one in self.variables)]},
            "panels": self._panels(),
        }

    def _panels(self) -> list[Json]:
        panels: list[Json] = []
        y = 0
        for row in self.rows:
            panels.append(_heading(row.title, len(panels) + 1, y))
            y += 1
            x = height = 0
            for panel in row.panels:
                width, own_height = panel.size
                if x + width > GRID_WIDTH:
                    x, y, height = 0, y + height, 0
                panels.append(panel.encoded(len(panels) + 1, x, y))
                x, height = x + width, max(height, own_height)
            y += height
        return panels


def _heading(title: str, number: int, y: int) -> Json:
    return {
        "id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
        "gridPos": {"h": 1, "w": GRID_WIDTH, "x": 0, "y": y},
    }  # fmt: skip


def _links() -> Json:
    """To the other dashboards, with the same time and choices."""
    return {
        "type": "dashboards", "title": "Goldenthread", "tags": [TAG], "asDropdown": False, "icon": "external link",
        "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": "",
    }  # fmt: skip


def _datasource() -> Json:
    return {
        "type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "hide": 0,
        "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "", "current": {},
    }  # fmt: skip


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.name})"
    return {
        "type": "query", "name": variable.name, "label": variable.label, "description": variable.description,
        "datasource": DATASOURCE, "definition": query, "query": {"qryType": 1, "query": query, "refId": "Values"},
        "hide": 0, "includeAll": True, "allValue": ".*", "multi": True, "options": [], "refresh": 2, "regex": "",
        "sort": 1, "current": {"text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def _annotations() -> list[Json]:
    """Marks for what explains a bend in any curve: a process that started, partitions that moved."""
    restarts = f"changes({metric('process_start_time_seconds')}[2m]) > 0"
    rebalances = f"increase({metric('rebalances_total')}[2m]) > 0"
    return [
        _annotation("Restarts", restarts, "orange", "Restart of {{instance}}"),
        _annotation("Rebalances", rebalances, "purple", "{{instance}} got its partitions anew"),
    ]


def _annotation(name: str, expression: str, color: str, title: str) -> Json:
    return {
        "name": name, "enable": True, "hide": False, "iconColor": color, "datasource": DATASOURCE,
        "target": {"expr": expression, "interval": "60s", "refId": "Anno"}, "expr": expression, "step": "60s",
        "titleFormat": title, "textFormat": "", "tagKeys": "instance", "useValueForTime": False,
    }  # fmt: skip
