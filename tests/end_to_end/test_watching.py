"""Goal: whoever watches sees everything and nobody's data. Method: a real Prometheus over a running system.

It scrapes with the shipped configuration and rules, but for ports and intervals. Then every panel's expression and
every alert's left side has to give series, and no label and no line of any log may hold what was planted.
"""

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import pytest
import yaml

from tests.conftest import FreePorts
from tests.dashboards.expressions import PROMETHEUS, left_side, panel_expressions, rules
from tests.running_system import RunningSystem, request
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka

SERVICES_DEADLINE_S: Final = 60.0
#: Somebody who appears in everything that is sent, and parts of him that nothing may show.
NAME: Final = "Zacharias Plantagenet"
EMAIL: Final = "Planted.Person@leak-nowhere.example"
PHONE: Final = "+31612309876"
PLANTED: Final = ("plantagenet", "zacharias", "planted.person", "leak-nowhere", "12309876")

#: What holds once the traffic has passed: a comparison that does not hold gives no series.
CLAIMS: Final = (
    "max(goldenthread_lag_seconds) < 60",
    "sum(goldenthread_ready) == 4",
    'sum(goldenthread_events_received_total{stage="intake",channel="web"}) >= 22',
    'sum(goldenthread_dead_letters_total{code="content_conflict"}) >= 1',
    'sum(goldenthread_events_dropped_total{stage="context",reason="duplicate"}) >= 1',
    'sum(goldenthread_events_dropped_total{stage="collect",reason="refused"}) >= 1',
    "sum(goldenthread_contexts) >= 1",
    "sum(goldenthread_identifiers) >= 3",
    'sum(goldenthread_identity_changes_total{change=~"linked|attached"}) >= 2',
    'sum(goldenthread_enrichments_total{outcome="found"}) >= 20',
    "goldenthread_end_to_end_duration_seconds_count >= 20",
    "goldenthread_end_to_end_duration_seconds_sum > 0",
    "goldenthread_end_to_end_duration_seconds_sum / goldenthread_end_to_end_duration_seconds_count < 60",
    "goldenthread_rebalances_total >= 1",
    'goldenthread_assigned_partitions{stage="context"} == 4',
    "max(goldenthread_restore_remaining_records) == 0",
    'sum(goldenthread_store_keys{store=~"context-.*"}) > 0',
    "min(goldenthread_store_disk_available_bytes / goldenthread_store_disk_size_bytes) > 0",
    'sum(goldenthread_lookups_total{by="lookup",outcome="found"}) >= 1',
    "min(goldenthread_process_resident_memory_bytes) > 10e6",
)


class Prometheus:
    """A running Prometheus that scrapes one system."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        try:
            reply = request("GET", f"{self._url}/api/v1/{path}?{query}")
        except (OSError, http.client.HTTPException):
            return None
        if reply.status == 503:
            return None
        assert reply.status == 200, (parameters, reply.body)
        return reply.json["data"]

    def values(self, expression: str) -> list[float]:
        """The values of all series that the expression gives now."""
        answer = self.ask("query", query=expression)
        return [] if answer is None else [float(series["value"][1]) for series in answer["result"]]


def local_configuration(system: RunningSystem) -> dict[str, Any]:
    """The shipped configuration for one machine, with the system's ports and a test's patience."""
    shipped = yaml.safe_load((PROMETHEUS / "prometheus-local.yml").read_text())
    shipped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    shipped["rule_files"] = [str(PROMETHEUS / pattern) for pattern in shipped["rule_files"]]
    urls = {"collect": system.collect_url, "lookup": system.lookup_url, "worker": system.worker_url}
    urls["admin"] = system.admin_url
    for job in shipped["scrape_configs"]:
        (targets,) = job["static_configs"]
        targets["targets"] = [urlsplit(urls[job["job_name"].removeprefix("goldenthread-")]).netloc]
    return dict(shipped)


@pytest.fixture(scope="module")
def prometheus(
    system: RunningSystem, free_ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian's package of this name has it)")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(local_configuration(system)))
    (port,) = free_ports(1)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        running = Prometheus(f"http://127.0.0.1:{port}")
        wait_until(lambda: running.values("up") == [1.0] * 4, "four targets that answer", SERVICES_DEADLINE_S)
        yield running
    finally:
        process.kill()
        process.wait()


def planted_event(number: int, **data: Any) -> dict[str, Any]:
    """An event of the planted customer."""
    return {
        "specversion": "1.0",
        "id": f"watching-{number}",
        "source": "shop-web",
        "type": "account.logged_in",
        "time": f"2026-03-04T05:06:{number:02d}Z",
        "channel": "web",
        "data": {
            "identifiers": {"email": EMAIL, "phone": PHONE, "cookie": "watching-cookie"},
            "traits": {"name": NAME, "email": EMAIL, "phone": PHONE},
            "summary": f"{NAME} called from {PHONE}",
            "url": f"https://shop.example/?who={EMAIL}",
        }
        | data,
    }


@pytest.fixture(scope="module")
def traffic(system: RunningSystem, prometheus: Prometheus) -> Prometheus:
    """Planted data on every way in and out, good and bad, while Prometheus looks."""
    system.send(*(planted_event(number) for number in range(20)))
    # The same event with another content is a dead letter, another time it is a copy.
    system.send(planted_event(1, summary=f"{NAME} is somebody else"), planted_event(2))
    for bad in (
        b'{"who": "' + EMAIL.encode(),
        json.dumps([planted_event(99) | {"time": NAME}]).encode(),
        json.dumps([planted_event(98) | {"data": {"identifiers": {"email": f"{NAME} <{EMAIL}>"}}}]).encode(),
    ):
        reply = request("POST", f"{system.collect_url}/v1/events", bad, "application/cloudevents-batch+json")
        assert reply.status in {202, 400}, reply.body
    system.wait_quiet()
    assert system.lookup(("email", EMAIL)).status == 200
    for path in (
        f"/v1/identifiers/email/{quote(EMAIL)}/context",
        f"/v1/identifiers/phone/{quote(PHONE)}/context?min_grade=login",
        f"/v1/identifiers/email/{quote(EMAIL)}/nothing-here",
        f"/v1/customers/{quote(NAME)}/context",
        f"/{quote(EMAIL)}?name={quote(NAME)}",
    ):
        request("GET", system.lookup_url + path)
        request("GET", system.collect_url + path)
    request("POST", f"{system.lookup_url}/v1/lookup", b'{"identifiers": "' + EMAIL.encode() + b'"}')
    return prometheus


def test_every_panel_and_the_left_side_of_every_alert_give_series(traffic: Prometheus) -> None:
    asked = {shipped.where: shipped.expression for shipped in panel_expressions()}
    asked |= {rule["record"]: rule["record"] for rule in rules("recording.yml")}
    asked |= {rule["alert"]: left_side(rule["expr"]) for rule in rules("alerts.yml")}
    missing = dict(asked)

    def all_give_series() -> bool:
        for where in [where for where, expression in missing.items() if traffic.values(expression)]:
            del missing[where]
        return not missing

    try:
        wait_until(all_give_series, "series for every expression", SERVICES_DEADLINE_S)
    except AssertionError:
        pytest.fail(f"nothing for {missing}")


def test_metrics_have_the_values_that_the_traffic_gives(traffic: Prometheus) -> None:
    missing = set(CLAIMS)

    def all_hold() -> bool:
        missing.difference_update([claim for claim in missing if traffic.values(claim)])
        return not missing

    try:
        wait_until(all_hold, "the values that this traffic gives", SERVICES_DEADLINE_S)
    except AssertionError:
        pytest.fail(f"not so: {missing}")
    firing = [alert["labels"] for alert in traffic.ask("alerts")["alerts"] if alert["state"] == "firing"]
    assert firing == []


def test_no_label_and_no_line_of_a_log_holds_what_was_planted(traffic: Prometheus, system: RunningSystem) -> None:
    urls = (system.worker_url, system.collect_url, system.lookup_url, system.admin_url)
    texts = {f"{url}/metrics": request("GET", f"{url}/metrics").body for url in urls}
    series = traffic.ask("series", **{"match[]": '{__name__=~".+"}'})
    assert len(series) > 1000
    texts["labels"] = json.dumps(series, ensure_ascii=False).encode()
    logs = [path for path in (system.data_dir / "logs").rglob("*") if path.is_file()]
    logs += [path for path in system.folder.glob("up-*") if path.is_file()]
    texts |= {str(path): path.read_bytes() for path in logs}
    # The planted paths were asked for, and logged, by the template of their route.
    assert b'"/v1/identifiers/{kind}/{value}/context"' in _log(texts, "lookup")
    found = [(where, part) for where, text in texts.items() for part in PLANTED if part.encode() in text.lower()]
    assert found == []


def _log(texts: dict[str, bytes], name: str) -> bytes:
    """The log of a process."""
    return b"".join(text for where, text in texts.items() if Path(where).name.startswith(name))
