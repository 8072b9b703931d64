"""Another policy on a running system: what is rehearsed is what happens, and what would route otherwise is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.generator import Plan, generate
from schemas.identity_policy import DEFAULT_POLICY
from schemas.rows import LINK_ROW_PREFIX, LinkRow, RowDecoder
from schemas.topics import Topic
from streams.bulk import read_all
from streams.kafka import KafkaOptions
from tests.end_to_end.conftest import SystemMaker
from tests.running_system import RunningSystem
from tests.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]
_ROWS = RowDecoder(LinkRow)


def _policy_file(folder: Path, name: str, **changed: dict[str, Any]) -> Path:
    """The default kinds, some with other values; as JSON, which is YAML."""
    kinds = [
        {"name": kind.name, "strength": kind.strength.name.lower(), "normaliser": kind.normaliser.value}
        | {"unique": kind.unique, "shared_from": kind.shared_from, "claimed_from": kind.claimed_from}
        | {"namespaced": kind.namespaced, "enabled": kind.enabled, "group": kind.group, "hidden": kind.hidden}
        | changed.get(kind.name, {})
        for kind in DEFAULT_POLICY.kinds
    ]
    path = folder / name
    path.write_text(json.dumps({"kinds": kinds} | changed.get("", {})))
    return path


def _seats(system: RunningSystem) -> dict[str, tuple[str, str]]:
    """Owner and state of every identifier."""
    kafka = KafkaOptions(system.environment["KAFKA_BOOTSTRAP_SERVERS"])
    latest = {record.key: record.value for record in read_all(kafka, system.prefix + Topic.LINKS, 1)}
    rows = {
        key.removeprefix(LINK_ROW_PREFIX).decode(): _ROWS.decode(value)
        for key, value in latest.items()
        if key is not None and value is not None and key.startswith(LINK_ROW_PREFIX)
    }
    return {fragment: (row.owner, row.state) for fragment, row in rows.items()}


def _json(system: RunningSystem, *arguments: str, code: int = 0) -> Any:
    done = system.run(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.mark.drill
def test_what_is_rehearsed_is_what_apply_does_while_the_system_runs(make_system: SystemMaker, tmp_path: Path) -> None:
    system = make_system("policy").start()
    events = list(generate(Plan(customers=40, events=600, seed=7, duplicate_share=0)))
    for first in range(0, len(events), 200):
        system.send(*events[first : first + 200])
    system.wait_quiet()
    before = _seats(system)

    # What would route otherwise is refused, by commands and by a worker that starts.
    elsewhere = _policy_file(tmp_path, "elsewhere.yaml", **{"": {"phone_region": "NL"}})
    refused = system.run("identity", "rehearse", str(elsewhere))
    assert refused.returncode == 2
    assert "phone_region: NL, not empty" in refused.stderr
    assert "docs/policy.md" in refused.stderr
    second = system.run("worker", "--index", "1", GOLDENTHREAD_IDENTITY_FILE=str(elsewhere))
    assert second.returncode == 4, second.stderr
    assert "phone_region: NL, not empty" in second.stderr + second.stdout

    # E-mails say less, and phones nothing.
    medium = {"strength": "medium", "claimed_from": 0, "unique": False}
    wanted = _policy_file(tmp_path, "new.yaml", email=medium, national_id=medium, **{"": {"unlinkable": ["phone:*"]}})
    rehearsed = _json(system, "identity", "rehearse", str(wanted), "--sample", "5")
    assert _seats(system) == before
    assert rehearsed["identifiers"] == len(before)
    assert rehearsed["merges_lost"] > 0
    assert len(rehearsed["lost"]) == 5
    assert all(sample["before"]["steps"] for sample in rehearsed["lost"])
    shown = system.run("identity", "rehearse", str(wanted))
    assert shown.returncode == 0, shown.stderr
    assert "merges lost" in shown.stdout

    applied = _json(system, "identity", "apply", str(wanted), "--yes", "--reason", "a test", "--author", "ann")
    assert applied["done"]
    assert {name: applied["rehearsed"][name] for name in ("moved", "merges_gained", "merges_lost")} == {
        name: rehearsed[name] for name in ("moved", "merges_gained", "merges_lost")
    }
    after = _seats(system)
    moved = {fragment for fragment, seat in after.items() if seat != before[fragment]}
    assert len(moved) == rehearsed["moved"]
    ways = {(before[fragment][0], after[fragment][0]) for fragment in after}
    assert len(ways) - len({way[0] for way in ways}) == rehearsed["merges_lost"]
    assert len(ways) - len({way[1] for way in ways}) == rehearsed["merges_gained"]

    in_force = _json(system, "identity", "policy")
    assert (in_force["change"], in_force["author"], in_force["reason"]) == (applied["change"], "ann", "a test")
    assert in_force["repair"] is None
    assert not _json(system, "identity", "apply", str(wanted), "--yes", "--reason", "again")["given"]

    # The worker obeys it, and says that its file does not have it.
    differs = "goldenthread_identity_policy_differs"
    wait_until(lambda: _metric(system, differs) == 1, "a worker that has started again")
    system.wait_quiet()
    assert "identity policy" in system.run("doctor").stdout


def _metric(system: RunningSystem, name: str) -> float:
    try:
        return system.metric(system.worker_url, name)
    except OSError:
        return -1.0
