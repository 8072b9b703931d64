"""Every expression that is shipped, where it stands, and the names of metrics in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import promql_parser
import yaml

from dashboards.__main__ import DASHBOARDS

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "dashboards" / "prometheus"
#: What Grafana puts in the place of its variables, with windows as short as a test needs them.
VARIABLES: Final = {
    "$__rate_interval": "10s",
    "$__range": "30s",
    "$instance": ".*",
    "$topic": ".*",
    "$stage": ".*",
}


class Shipped(NamedTuple):
    """An expression and where it stands."""

    where: str
    expression: str


def replaced(expression: str) -> str:
    """The expression as Grafana would send it."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, expression
    return expression


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels but the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def panel_expressions() -> Iterator[Shipped]:
    """Those of all panels."""
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard.encoded()):
            for target in panel["targets"]:
                yield Shipped(f"{dashboard.uid}: {panel['title']} {target['refId']}", replaced(target["expr"]))


def annotation_expressions() -> Iterator[Shipped]:
    """Those of the marks in all dashboards."""
    for dashboard in DASHBOARDS:
        for annotation in dashboard.encoded()["annotations"]["list"]:
            if "expr" in annotation:
                yield Shipped(f"{dashboard.uid}: {annotation['name']}", replaced(annotation["expr"]))


def rules(file: str) -> list[dict[str, Any]]:
    """The rules of a file."""
    groups = yaml.safe_load((PROMETHEUS / "rules" / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def rule_expressions() -> Iterator[Shipped]:
    """Those of recording rules and alerts."""
    for rule in rules("recording.yml") + rules("alerts.yml"):
        yield Shipped(rule.get("alert") or rule["record"], rule["expr"])


def left_side(expression: str) -> str:
    """An alert's expression without its comparison."""
    found = re.fullmatch(r"(.*\S)\s+(?:==|!=|>=|<=|>|<)\s+[\d.]+", expression.strip(), re.DOTALL)
    assert found, expression
    return found[1]


def metrics_of(expression: str) -> set[str]:
    """The names of metrics in an expression; fails where it can't be parsed."""
    promql_parser.parse(expression)
    # A name is a word before braces or brackets, a closing parenthesis or the end, and no function and no label.
    without_labels = re.sub(r"\{[^}]*\}", "", expression)
    return set(re.findall(r"\b(?:\w+:)?goldenthread_\w+(?::\w+)?|\bgoldenthread:\w+:\w+|\bup\b", without_labels))
