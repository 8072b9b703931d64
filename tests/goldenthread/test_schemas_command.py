"""Goal: `goldenthread schemas` tells and does what a registry has; settings that can't work are refused by name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from goldenthread.cli import application
from goldenthread.parts import registry_of
from goldenthread.settings import load_settings
from schemas.avro.public_schemas import public_schemas
from schemas.errors import RegistryRefused, SettingError, UsageError
from schemas.topics import PUBLIC_TOPICS, Topic
from streams.fake_registry import FakeRegistry
from tests.conftest import FreePorts


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def registry(free_ports: FreePorts, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    with FakeRegistry(free_ports(1)[0], credentials=("ann", "secret")) as running:
        monkeypatch.setenv("GOLDENTHREAD_SCHEMA_REGISTRY_URL", f"{running.url}/")
        monkeypatch.setenv("GOLDENTHREAD_SCHEMA_REGISTRY_USER", "ann")
        monkeypatch.setenv("GOLDENTHREAD_SCHEMA_REGISTRY_PASSWORD", "secret")
        yield running


def run(*arguments: str) -> Result:
    return CliRunner().invoke(application, ["schemas", *arguments])


def told(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_schemas_are_listed_registered_and_listed_with_their_ids(registry: FakeRegistry) -> None:
    assert [each["id"] for each in told("list")] == [None] * len(PUBLIC_TOPICS)
    ids = told("register")
    assert ids == told("register")
    assert set(ids) == {f"gt.{topic}-value" for topic in PUBLIC_TOPICS} == set(registry.content.subjects)
    assert {each["subject"]: each["id"] for each in told("list")} == ids


def test_a_schema_is_shown_by_its_topic_with_or_without_the_prefix() -> None:
    for name in ("context.changes", "gt.context.changes"):
        assert json.loads(run("show", name).stdout) == public_schemas()[Topic.CONTEXT_CHANGES].schema
    assert isinstance(run("show", "routed").exception, UsageError)


def test_without_a_registry_schemas_are_listed_and_checked_and_not_registered() -> None:
    assert [each["id"] for each in told("list")] == [None] * len(PUBLIC_TOPICS)
    assert told("check") == {"problems": []}
    assert "GOLDENTHREAD_SCHEMA_REGISTRY_URL" in str(run("register").exception)


def test_a_check_finds_what_is_missing_and_what_stands_in_the_way(registry: FakeRegistry) -> None:
    assert {each["subject"] for each in told("check")["problems"]} == {f"gt.{topic}-value" for topic in PUBLIC_TOPICS}
    registry.content.register("gt.context-value", '{"type":"record","name":"Other","fields":[]}')
    checked = run("check")
    assert checked.exit_code == 1
    assert "can't be read" in checked.stdout
    assert isinstance(run("register").exception, RegistryRefused)
    del registry.content.subjects["gt.context-value"]
    run("register")
    assert run("check").exit_code == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "registry:8081"),
        ("URL", "ftp://registry"),
        ("URL", "http://"),
        ("URL", "http://ann:secret@registry:8081"),
        ("URL", "http://registry/?a=b"),
        ("AWAY", "never"),
        ("CA_FILE", "missing.pem"),
    ],
)
def test_a_setting_that_cant_work_is_refused_by_its_name_and_tells_no_password(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOLDENTHREAD_SCHEMA_REGISTRY_URL", "https://registry")
    monkeypatch.setenv(f"GOLDENTHREAD_SCHEMA_REGISTRY_{name}", value)
    with pytest.raises(SettingError, match=f"GOLDENTHREAD_SCHEMA_REGISTRY_{name}") as raised:
        registry_of(load_settings())
    assert "secret" not in str(raised.value)


def test_a_password_is_not_shown(registry: FakeRegistry) -> None:
    shown = CliRunner().invoke(application, ["config", "show", "--json"])
    assert registry.url in shown.stdout
    assert "secret" not in json.loads(shown.stdout)["GOLDENTHREAD_SCHEMA_REGISTRY_PASSWORD"]
