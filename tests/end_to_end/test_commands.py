"""The command line against a running system: what each command prints, and its exit code."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.public_topics import DeadTopic
from tests.running_system import SECRET, RunningSystem
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka

MAPPING = """
version: 1
source: visits
event:
  id: id
  type: "'store.visited'"
  time: date(day, 'UTC')
  channel: "'store'"
  data:
    identifiers: {email: email}
    summary: "concat('Visited ', shop)"
"""
ROWS = """id,day,email,shop
v-1,2026-02-01,cli-1@example.com,Delft
v-2,never,cli-2@example.com,Gouda
v-3,2026-02-03,,Leiden
v-4,2026-02-04,cli-1@example.com,Delft
"""
IMPORTED_EVENTS = 30_000
IMPORTED_CUSTOMERS = 20


def test_a_customer_is_shown_or_is_not_known_or_the_lookup_is_not_there(system: RunningSystem) -> None:
    event = (
        '{"specversion":"1.0","id":"cli-1","source":"shop-web","type":"page.viewed","time":"2026-01-02T03:04:05Z",'
        '"channel":"web","data":{"identifiers":{"email":"cli-get@example.com"},"traits":{"city":"[bold]Delft[/]"}}}'
    )
    sent = system.run("send", event)
    assert (sent.returncode, sent.stdout.strip()) == (0, '{"accepted":1}')
    system.wait_quiet()
    found = system.run("customer", "get", "email", "CLI-get@example.com")
    assert found.returncode == 0
    assert "cli-get@example.com" in found.stdout
    assert "[bold]Delft[/]" in found.stdout
    as_json = system.run("customer", "get", "email", "cli-get@example.com", "--json")
    assert as_json.returncode == 0
    assert json.loads(as_json.stdout)["context"]["traits"]["city"]["value"] == "[bold]Delft[/]"
    unknown = system.run("customer", "get", "email", "cli-nobody@example.com", "--json")
    assert unknown.returncode == 1
    assert json.loads(unknown.stdout)["code"] == "not_known"
    nowhere = system.run("customer", "get", "email", "cli-get@example.com", GOLDENTHREAD_LOOKUP_PORT="9")
    assert nowhere.returncode == 2
    assert "http://127.0.0.1:9" in nowhere.stderr
    assert nowhere.stderr.count("\n") == 1
    refused = system.run("send", event.replace("page.viewed", ""))
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["errors"][0]["pointer"] == "/type"


def test_tail_ends_at_its_limit_and_knows_only_public_topics(system: RunningSystem) -> None:
    system.send(*(
        {
            "specversion": "1.0", "id": f"tail-{number}", "source": "shop-web", "type": "page.viewed",
            "time": "2026-01-02T03:04:05Z", "channel": "web",
            "data": {"identifiers": {"email": "cli-tail@example.com"}},
        }
        for number in range(3)
    ))  # fmt: skip
    system.wait_quiet()
    tailed = system.run("tail", "interactions", "--from-beginning", "--limit", "2", "--json")
    assert tailed.returncode == 0
    assert [json.loads(line)["topic"] for line in tailed.stdout.splitlines()] == [f"{system.prefix}interactions"] * 2
    unknown = system.run("tail", "context.state")
    assert unknown.returncode == 2
    assert "context.changes" in unknown.stderr


def test_an_import_tells_bad_rows_by_line_and_reason_and_sends_them_to_dead(
    system: RunningSystem, tmp_path: Path
) -> None:
    (tmp_path / "visits.csv").write_text(ROWS)
    (tmp_path / "visits.yaml").write_text(MAPPING)
    dead = DeadTopic(system)
    imported = system.run("import", str(tmp_path / "visits.csv"), "--mapping", str(tmp_path / "visits.yaml"))
    assert imported.returncode == 1
    told = imported.stdout.splitlines()
    assert told[0].startswith("4 rows: 2 accepted, 2 dead")
    assert told[1].startswith("  line 3: mapping_failed")
    assert told[2].startswith("  line 4: no_usable_identifier at /data/identifiers")
    letters = dead.new()
    assert [(letter.stage, letter.code) for letter in letters] == [
        ("import", "mapping_failed"),
        ("import", "no_usable_identifier"),
    ]
    assert [letter.value for letter in letters] == [line.encode() for line in ROWS.splitlines(keepends=True)[2:4]]
    system.wait_quiet()
    assert system.lookup(("email", "cli-1@example.com")).json["context"]["interactions"]["count"] == 2
    listed = system.run("dead", "list", "--code", "no_usable_identifier", "--json")
    assert listed.returncode == 0
    letter = json.loads(listed.stdout.splitlines()[-1])
    assert letter["stage"] == "import"
    shown = system.run("dead", "show", str(letter["offset"]), "--json")
    assert shown.returncode == 0
    assert "Leiden" in shown.stdout
    missing = system.run("import", str(tmp_path / "nothing.csv"), "--mapping", str(tmp_path / "visits.yaml"))
    assert missing.returncode == 2
    assert "nothing.csv" in missing.stderr


@pytest.mark.crash
def test_a_killed_import_goes_on_where_it_was_and_nothing_is_lost_or_doubled(
    system: RunningSystem, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("w") as file:
        for number in range(IMPORTED_EVENTS):
            event = {
                "specversion": "1.0", "id": str(number), "source": "archive", "type": "order.placed",
                "time": f"2025-05-{1 + number % 28:02d}T06:07:08Z", "channel": "store",
                "data": {"identifiers": {"email": f"archive-{number % IMPORTED_CUSTOMERS}@example.com"}},
            }  # fmt: skip
            file.write(json.dumps(event) + "\n")
    progress = system.data_dir / "imports"
    with subprocess.Popen(
        [*system.program, "import", str(path)], cwd=system.folder, env=system.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as importing:  # fmt: skip
        wait_until(lambda: any(progress.glob("*")) or importing.poll() is not None, "some progress")
        os.kill(importing.pid, signal.SIGKILL)
    assert importing.returncode == -signal.SIGKILL, "it was too fast to be killed"
    resumed = system.run("import", str(path), "--json")
    assert resumed.returncode == 0, resumed.stderr
    result = json.loads(resumed.stdout)
    assert 0 < result["resumed_rows"] < IMPORTED_EVENTS
    assert (result["rows"], result["accepted"], result["dead"]) == (IMPORTED_EVENTS, IMPORTED_EVENTS, 0)
    assert not any(progress.glob("*"))
    system.wait_quiet()
    counts = [
        system.lookup(("email", f"archive-{number}@example.com")).json["context"]["interactions"]["count"]
        for number in range(IMPORTED_CUSTOMERS)
    ]
    assert counts == [IMPORTED_EVENTS // IMPORTED_CUSTOMERS] * IMPORTED_CUSTOMERS


def test_settings_are_shown_without_the_secret_and_checked(system: RunningSystem, tmp_path: Path) -> None:
    for arguments in (("config", "show"), ("config", "show", "--json")):
        shown = system.run(*arguments)
        assert shown.returncode == 0
        assert SECRET not in shown.stdout + shown.stderr
        assert system.prefix in shown.stdout
    values = json.loads(system.run("config", "show", "--json").stdout)
    assert values["GOLDENTHREAD_TOPIC_PREFIX"] == system.prefix
    assert values["GOLDENTHREAD_SECRET"] == "*" * 10
    checked = system.run("config", "check", "--json")
    assert checked.returncode == 0
    assert "web" in json.loads(checked.stdout)["channels"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(MAPPING.replace("source:", "sorce:"))
    refused = system.run("config", "check", "--mapping", str(wrong))
    assert refused.returncode == 2
    assert "wrong.yaml" in refused.stderr
    assert "sorce" in refused.stderr
    versions = json.loads(system.run("version", "--json").stdout)
    assert versions.keys() >= {"goldenthread", "python", "faust-streaming"}


def test_topics_are_made_once_and_init_can_be_run_again(system: RunningSystem) -> None:
    again = system.run("init", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {"created": [], "topics": 22}
