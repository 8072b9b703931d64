"""The dashboards are what their builder makes, and what they ask for exists."""

import itertools
import json
import re
from typing import Any

import pytest
import yaml

from dashboards.__main__ import DASHBOARDS, encode, path_of
from dashboards.dashboard import Dashboard
from dashboards.panels import GRID_WIDTH
from streams.metrics import LAG_SERVICE, WORKER_SERVICE, Metrics
from tests.dashboards.expressions import (
    ROOT,
    Shipped,
    annotation_expressions,
    metrics_of,
    panel_expressions,
    panels,
    rule_expressions,
    rules,
)

GRAFANA = ROOT / "dashboards" / "grafana"
EXPRESSIONS = [*panel_expressions(), *annotation_expressions(), *rule_expressions()]
each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


def exported_types() -> dict[str, str]:
    """The type of every metric that some process of ours exports, by its name."""
    types: dict[str, str] = {}
    for service in (LAG_SERVICE, WORKER_SERVICE):
        text = Metrics(service, "0").exposition().decode()
        types |= dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE))
    return types


def exported_series() -> dict[str, str]:
    """The names of series, each with the metric that it belongs to."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + suffix: name for name, kind in exported_types().items() for suffix in suffixes.get(kind, ("",))}


@each_dashboard
def test_the_file_is_what_the_builder_makes(dashboard: Dashboard) -> None:
    assert path_of(dashboard).read_text() == encode(dashboard), "run `python -m dashboards`"


def test_there_is_no_file_besides_the_dashboards() -> None:
    assert set((GRAFANA / "dashboards").iterdir()) == {path_of(dashboard) for dashboard in DASHBOARDS}


@pytest.mark.parametrize("shipped", EXPRESSIONS, ids=lambda shipped: shipped.where)
def test_every_expression_parses_and_asks_for_metrics_that_exist(shipped: Shipped) -> None:
    recorded = {rule["record"] for rule in rules("recording.yml")}
    names = metrics_of(shipped.expression)
    assert names, shipped.expression
    assert names <= exported_series().keys() | recorded | {"up"}


def test_every_metric_is_shown_or_watched() -> None:
    series = exported_series()
    asked = {series[name] for shipped in EXPRESSIONS for name in metrics_of(shipped.expression) if name in series}
    assert exported_types().keys() - asked == set()


def test_every_recorded_series_is_asked_for_by_a_rule_or_follows_the_naming() -> None:
    for rule in rules("recording.yml"):
        assert re.fullmatch(r"(?:[a-z_]+|goldenthread):[a-z_]+:[a-z0-9_]+", rule["record"]), rule["record"]


@each_dashboard
def test_every_panel_says_what_it_shows_in_which_unit(dashboard: Dashboard) -> None:
    for panel in panels(dashboard.encoded()):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(references) == len(set(references))
        for target in panel["targets"]:
            assert target["legendFormat"], panel["title"]
        if panel["type"] == "stat":
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


@each_dashboard
def test_no_panel_lies_on_another(dashboard: Dashboard) -> None:
    taken: dict[tuple[int, int], Any] = {}
    encoded = dashboard.encoded()
    for panel in encoded["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_WIDTH
        for cell in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        ):
            assert taken.setdefault(cell, panel["id"]) == panel["id"], panel["title"]
    assert len({panel["id"] for panel in encoded["panels"]}) == len(encoded["panels"])


@each_dashboard
def test_each_dashboard_leads_to_the_others_and_offers_the_choices_that_it_uses(dashboard: Dashboard) -> None:
    encoded = dashboard.encoded()
    assert [link["tags"] for link in encoded["links"]] == [["goldenthread"]]
    assert "goldenthread" in encoded["tags"]
    offered = {variable["name"] for variable in encoded["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\b", json.dumps(encoded)))
    assert used == offered
    assert {"datasource", "instance"} <= offered
    for variable in encoded["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
            assert (name in exported_series(), label) == (True, variable["name"])


def test_uids_are_for_ever() -> None:
    assert [dashboard.uid for dashboard in DASHBOARDS] == [
        "goldenthread-overview",
        "goldenthread-streams-and-state",
        "goldenthread-customers",
    ]


def test_provisioned_dashboards_can_not_be_changed_on_the_page() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/goldenthread.yml").read_text())["providers"]
    assert provider["allowUiUpdates"] is False
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["editable"]) == ("prometheus", False)
