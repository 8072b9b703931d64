"""Goal: a system with keys works for those who have them, and for nobody else. Method: `up` with an access file."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.generator import SOURCES_FILE
from connectors.web.access import Role
from goldenthread.commands.access import make_access_folder
from tests.end_to_end.conftest import SystemMaker
from tests.running_system import RunningSystem, request
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka

WRITE_KEY = "write-key-of-end-to-end"
EVENT = (
    '{"specversion":"1.0","id":"acc-1","source":"shop-web","type":"page.viewed","time":"2026-01-02T03:04:05Z",'
    '"channel":"web","data":{"identifiers":{"email":"access@example.com"}}}'
)
STRUCTURED = "application/cloudevents+json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An access file, the tokens beside it, and sources of which one has a write key."""
    folder = tmp_path_factory.mktemp("access")
    make_access_folder(folder)
    sources = SOURCES_FILE.read_text()
    assert sources.count("  shop-web:\n") == 1
    (folder / "sources.yaml").write_text(sources.replace("  shop-web:\n", f"  shop-web:\n    write_key: {WRITE_KEY}\n"))
    return folder


@pytest.fixture(scope="module")
def guarded(make_system: SystemMaker, folder: Path) -> Iterator[RunningSystem]:
    system = make_system(
        "guarded",
        GOLDENTHREAD_ACCESS_FILE=str(folder / "access.yaml"),
        GOLDENTHREAD_SOURCES_FILE=str(folder / "sources.yaml"),
    ).start("--demo")
    yield system
    system.stop()


def token(folder: Path, role: Role) -> str:
    return (folder / f"{role}.token").read_text().strip()


def ready(url: str) -> bool:
    """Whether the process answers; one that is started again just now does not."""
    try:
        return ask("GET", f"{url}/readyz") == 200
    except OSError:
        return False


def ask(method: str, url: str, key: str | None = None, body: bytes | None = None) -> int:
    """The status of the answer to one request with the key."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return request(method, url, body, STRUCTURED, **headers).status


def test_the_demo_and_the_status_line_of_up_need_no_key_of_others(guarded: RunningSystem) -> None:
    assert "wanted by collect, lookup, admin, worker" in guarded.out
    wait_until(lambda: "The demo has played" in guarded.out + guarded.err, "the demo")
    shown = re.compile(r"events in [1-9][0-9,]*.*contexts [1-9][0-9,]*.*lag [0-9.]+ s.*dead [0-9]+")
    wait_until(lambda: shown.search(guarded.out), f"a status line with figures\n{guarded.out}")


def test_every_port_wants_a_key(guarded: RunningSystem, folder: Path) -> None:
    asked = {
        Role.COLLECT: ("POST", f"{guarded.collect_url}/v1/events", EVENT.encode()),
        Role.LOOKUP: ("GET", f"{guarded.lookup_url}/v1/identifiers/email/access@example.com/context", None),
        Role.ADMIN: ("GET", f"{guarded.admin_url}/v1/orders", None),
        Role.METRICS: ("GET", f"{guarded.worker_url}/metrics", None),
    }
    urls = (guarded.collect_url, guarded.lookup_url, guarded.admin_url, guarded.worker_url)
    wait_until(lambda: all(map(ready, urls)), "every process to answer its probe without a key")
    for wanted, (method, url, body) in asked.items():
        assert ask(method, url, None, body) == 401
        for role in set(Role) - {wanted} - ({Role.ADMIN} if wanted is Role.METRICS else set()):
            assert ask(method, url, token(folder, role), body) == 403
    for url in urls:
        assert ask("GET", f"{url}/metrics") == 401
        assert ask("GET", f"{url}/metrics", token(folder, Role.METRICS)) == 200


def test_the_command_line_shows_its_token(guarded: RunningSystem, folder: Path) -> None:
    refused = guarded.run("send", EVENT)
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "unauthenticated")
    sent = guarded.run("send", EVENT, GOLDENTHREAD_TOKEN=WRITE_KEY)
    assert (sent.returncode, sent.stdout.strip()) == (0, '{"accepted":1}')
    foreign = guarded.run("send", EVENT.replace("shop-web", "crm"), GOLDENTHREAD_TOKEN=WRITE_KEY)
    assert (foreign.returncode, json.loads(foreign.stdout)["code"]) == (1, "wrong_source")
    show = ("customer", "get", "email", "access@example.com", "--json")
    lookup = token(folder, Role.LOOKUP)
    url = f"{guarded.lookup_url}/v1/identifiers/email/access@example.com/context"
    wait_until(lambda: ask("GET", url, lookup) == 200, "the customer")
    assert guarded.run(*show, GOLDENTHREAD_TOKEN=lookup).returncode == 0
    assert json.loads(guarded.run(*show).stdout)["code"] == "unauthenticated"


def test_keys_change_without_a_restart(guarded: RunningSystem, folder: Path) -> None:
    url = f"{guarded.lookup_url}/version"
    made = json.loads(guarded.run("access", "new", "--role", "lookup", "--name", "new", "--json").stdout)
    assert ask("GET", url, made["token"]) == 401
    path = folder / "access.yaml"
    before = path.read_text()
    path.write_text(f"{before}  - {json.dumps(made['entry'])}\n")
    wait_until(lambda: ask("GET", url, made["token"]) == 200, "the new token to be taken")
    # The file is as the other tests need it again.
    path.write_text(before)
    wait_until(lambda: ask("GET", url, made["token"]) == 401, "the same token to be refused")
    assert ask("GET", url, token(folder, Role.LOOKUP)) == 200


def test_what_lets_everybody_in_does_not_start_for_other_machines(guarded: RunningSystem, tmp_path: Path) -> None:
    settings = {
        "GOLDENTHREAD_HOST": "0.0.0.0",  # noqa: S104 - it is refused.
        "GOLDENTHREAD_ACCESS_FILE": "",
        "GOLDENTHREAD_DATA_DIR": str(tmp_path),
    }
    refused = guarded.run("up", **settings)
    assert refused.returncode == 2
    assert "GOLDENTHREAD_HOST" in refused.stderr
    assert "the role lookup" in refused.stderr


def test_keys_are_in_no_log_and_in_no_output(guarded: RunningSystem, folder: Path) -> None:
    keys = [WRITE_KEY, *(token(folder, role) for role in Role)]
    taken = {token(folder, role) for role in (Role.METRICS, Role.ADMIN)}
    # All keys are shown to all processes, to those that refuse them too.
    for url in (guarded.collect_url, guarded.lookup_url, guarded.worker_url):
        wait_until(partial(ready, url), f"an answer of {url}")
        assert ask("GET", f"{url}/metrics") == 401
        assert {key for key in keys if ask("GET", f"{url}/metrics", key) == 200} == taken
    wait_until(lambda: '"reason":"missing"' in written_logs(guarded), "a refusal in the logs")
    written = written_logs(guarded) + guarded.out + guarded.err
    assert not [key for key in keys if key in written]


def written_logs(system: RunningSystem) -> str:
    return "".join(path.read_text() for path in (system.data_dir / "logs").glob("*.log"))
