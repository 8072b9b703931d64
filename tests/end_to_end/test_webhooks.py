"""Webhooks by a mapping file alone: the walk-through of docs/mapping.md, and a signed one, against a running system."""

import hmac
import json
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from tests.end_to_end.conftest import SystemMaker
from tests.running_system import Reply, RunningSystem, request

pytestmark = pytest.mark.kafka

KEY: Final = "key-of-the-payments-source"
SECRET: Final = "secret of the code host"  # noqa: S105 - it keeps nothing.
DOCS: Final = Path(__file__).parents[2] / "docs"
DOCUMENT: Final = (DOCS / "mapping.md").read_text().partition("## Webhooks")[2]
AGAIN: Final = (DOCS / "dead-letters.md").read_text().partition("## Sending one again")[2].partition("```\n")[2]
#: A tool that the docs do not speak of: its type and id stand in headers, and it signs what it posts.
CODE_HOST: Final = """
version: 1
source: code-host
when: _request.headers."x-code-event" != 'ping'
event:
  id: _request.headers."x-code-delivery"
  type: concat('code.', _request.headers."x-code-event")
  data:
    identifiers: {email: pusher.email, account: sender.login}
    refs: [{kind: "'repository'", id: repository.full_name}]
    summary: "concat(length(commits || `[]`), ' commits to ', ref)"
"""
REGISTERED: Final = """
  code-host:
    channel: service
    mapping: code-host.yaml
    grades: {"*": login}
    signature: {header: X-Code-Signature, prefix: "sha256=", secret: "env:CODE_HOST_SECRET"}
"""


def block(language: str, start: str) -> str:
    """The first code block of the chapter that starts so."""
    blocks = [each.split("```", 1)[0] for each in DOCUMENT.split(f"```{language}\n")[1:]]
    return next(each for each in blocks if each.startswith(start))


@pytest.fixture(scope="module")
def hooked(make_system: SystemMaker, tmp_path_factory: pytest.TempPathFactory) -> RunningSystem:
    folder = tmp_path_factory.mktemp("hooks")
    sources = folder / "sources.yaml"
    sources.write_text(block("yaml", "sources:") + REGISTERED)
    (folder / "payments.yaml").write_text(block("yaml", "version: 1\nsource: payments"))
    (folder / "code-host.yaml").write_text(CODE_HOST)
    (folder / "charge.json").write_text(block("json", '{"id": "evt_3Q1"'))
    settings = {"GOLDENTHREAD_SOURCES_FILE": str(sources), "PAYMENTS_KEY": KEY, "CODE_HOST_SECRET": SECRET}
    return make_system("hooks", **settings).start()


def post(system: RunningSystem, path: str, body: bytes, **headers: str) -> Reply:
    return request("POST", f"{system.collect_url}/v1/hooks/{path}", body, **headers)


def as_printed(system: RunningSystem, command: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command of the docs in a shell, in the folder of the walk-through, with the addresses of this system."""
    folder = Path(system.environment["GOLDENTHREAD_SOURCES_FILE"]).parent
    command = command.replace("http://127.0.0.1:8090", system.collect_url)
    command = command.replace("goldenthread ", f"{shlex.join(system.program)} ")
    return subprocess.run(
        ["sh", "-ec", command.replace("curl ", "curl --silent --show-error --max-time 30 ")],  # noqa: S607
        cwd=folder, env=system.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def context(system: RunningSystem, kind: str, value: str) -> dict[str, Any]:
    system.wait_quiet()
    answer = system.lookup((kind, value))
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json["context"]
    return found


def test_the_walk_through_of_the_docs_does_what_it_says(hooked: RunningSystem) -> None:
    folder = Path(hooked.environment["GOLDENTHREAD_SOURCES_FILE"]).parent
    told = block("", "$ goldenthread config check --mapping payments.yaml")
    command, _, expected = told.partition("\n")
    arguments = [word.replace("payments.yaml", str(folder / "payments.yaml")) for word in shlex.split(command)[2:]]
    arguments = [word.replace("charge.json", str(folder / "charge.json")) for word in arguments]
    checked = hooked.run(*arguments, GOLDENTHREAD_SOURCES_FILE="")
    assert (checked.returncode, checked.stdout) == (0, expected), checked.stderr
    charge = (folder / "charge.json").read_bytes()
    start = block("", "export GOLDENTHREAD_SOURCES_FILE")
    command, answer = next(pair for pair in pairwise(start.splitlines()) if pair[0].startswith("curl "))
    posted = as_printed(hooked, command)
    assert (posted.returncode, posted.stdout) == (0, answer), posted.stderr
    found = context(hooked, "email", "ann@example.com")
    assert found["refs"][0] | {"time": ""} == {
        "kind": "order", "id": "1042", "status": "succeeded", "type": "payment.succeeded", "time": "",
    }  # fmt: skip
    # Sent again, with another count of attempts, it is the same event.
    again = json.dumps(json.loads(charge) | {"pending_webhooks": 7}).encode()
    assert post(hooked, f"payments?key={KEY}", again).json == {"accepted": 1, "dead": 0, "skipped": 0}
    assert context(hooked, "payer", "cus_9")["interactions"]["count"] == 1
    assert post(hooked, "payments?key=wrong-key", charge).status == 401
    assert post(hooked, "payments", charge).status == 401


def test_a_webhook_without_a_time_that_signs_what_it_posts_becomes_a_context(hooked: RunningSystem) -> None:
    push = {
        "ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}, "commits": [{"id": "1"}, {"id": "2"}],
        "pusher": {"name": "kim", "email": "Kim@Example.net"}, "sender": {"login": "kim-hooks"},
    }  # fmt: skip
    body = json.dumps(push).encode()
    headers = {
        "X_Code_Event": "push",
        "X_Code_Delivery": "5b1d-77",
        "X_Code_Signature": "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex(),
    }
    for _ in range(2):
        assert post(hooked, "code-host", body, **headers).json == {"accepted": 1, "dead": 0, "skipped": 0}
    assert post(hooked, "code-host", body, **headers | {"X_Code_Event": "ping"}).json["skipped"] == 1
    assert post(hooked, "code-host", body + b" ", **headers).status == 401
    found = context(hooked, "account", "kim-hooks")
    assert found["interactions"]["count"] == 1
    assert found["types"].keys() == {"code.push"}
    assert found["identity"]["level"] == "identified"
    assert {each["value"] for each in found["identifiers"]} == {"kim@example.net", "kim-hooks"}
    assert found["interactions"]["recent"][0]["summary"] == "2 commits to refs/heads/main"


def test_bad_records_are_dead_letters_that_say_how_to_read_them(hooked: RunningSystem) -> None:
    bad = {"id": "evt_bad", "type": "charge.failed", "created": 1771580001, "data": {"object": {"status": "failed"}}}
    answer = post(hooked, f"payments?key={KEY}", json.dumps([bad, {"type": "charge.x"}]).encode())
    assert answer.json == {"accepted": 0, "dead": 2, "skipped": 0}
    listed = hooked.run("dead", "list", "--code", "no_usable_identifier", "--json")
    (letter,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (letter["stage"], letter["pointer"]) == ("collect", "/data/identifiers")
    shown = json.loads(hooked.run("dead", "show", str(letter["offset"]), "--json").stdout)
    assert json.loads(shown["value"]["text"]) == bad
    assert shown["headers"]["gt-source"] == {"text": "payments"}
    assert KEY not in listed.stdout + json.dumps(shown)


@pytest.mark.skipif(shutil.which("jq") is None, reason="the docs take letters apart with jq")
def test_a_letter_is_sent_again_as_the_docs_say(hooked: RunningSystem) -> None:
    late = {
        "id": "evt_late", "type": "charge.succeeded", "created": 4_000_000_000,
        "data": {"object": {"status": "succeeded", "customer": "cus_late"}},
    }  # fmt: skip
    assert post(hooked, f"payments?key={KEY}", json.dumps(late).encode()).json["dead"] == 1
    listed = hooked.run("dead", "list", "--code", "future_time", "--json").stdout.splitlines()
    offset = json.loads(listed[-1])["offset"]
    commands = AGAIN.partition("```")[0].replace("dead show 7 ", f"dead show {offset} ")
    # The cause is not gone, so it is a letter once more: it went the whole way.
    again = as_printed(hooked, commands)
    assert (again.returncode, json.loads(again.stdout)) == (0, {"accepted": 0, "dead": 1, "skipped": 0}), again.stderr
    folder = Path(hooked.environment["GOLDENTHREAD_SOURCES_FILE"]).parent
    assert json.loads((folder / "original.json").read_text()) == late
