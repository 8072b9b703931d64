"""Goal: settings say who gets in; what lets everybody in is not reached from elsewhere. Method: own folders."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.web.access import Access, AccessRefused, Role
from goldenthread import access as access_module
from goldenthread.access import make_access, protected_services
from goldenthread.cli import application
from goldenthread.commands.access import TOKEN_LENGTH_BYTES, TOKEN_PREFIX, make_access_folder, new_token
from goldenthread.settings import Settings, load_settings
from schemas.errors import SettingError, UsageError
from tests.logged import logged_by

pytestmark = pytest.mark.usefixtures("clean_environment")

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens.
SERVICES = (Role.COLLECT, Role.LOOKUP, Role.ADMIN, Role.METRICS)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return logged_by(access_module, monkeypatch)


def with_files(tokens: str = "", sources: str = "", **changes: Any) -> Settings:
    """Settings with these files; an empty text is no file."""
    for name, text in (("access", tokens), ("sources", sources)):
        if text:
            path = Path(f"{name}.yaml")
            path.write_text(text)
            changes[f"{name}_file"] = path
    return load_settings(**changes)


def entry(role: str, token: str = "a-token-of-tests-") -> str:  # noqa: S107 - it opens nothing.
    return f"tokens: [{{name: one, role: {role}, token: {token}{role}}}]"


def lets_in(access: Access, key: str) -> bool:
    try:
        access.admit(key)
    except AccessRefused:
        return False
    return True


@pytest.mark.parametrize("role", SERVICES)
def test_out_of_the_box_everybody_on_the_machine_gets_in(role: Role) -> None:
    assert not make_access(load_settings(), role).enabled
    assert not make_access(load_settings(host="::1"), role).enabled
    assert not make_access(load_settings(host="localhost"), role).enabled


@pytest.mark.parametrize("role", SERVICES)
@pytest.mark.parametrize("host", [EVERYWHERE, "192.168.1.5", "::", "fe80::1"])
def test_nothing_that_lets_everybody_in_listens_elsewhere(role: Role, host: str) -> None:
    told = rf"^GOLDENTHREAD_HOST: .*the role {role}.*GOLDENTHREAD_ACCESS_FILE"
    with pytest.raises(SettingError, match=told) as caught:
        make_access(load_settings(host=host), role)
    assert ("write keys" in str(caught.value)) is (role is Role.COLLECT)


@pytest.mark.parametrize("role", SERVICES)
def test_a_token_of_the_role_protects_the_service_and_opens_it_to_other_machines(role: Role) -> None:
    access = make_access(with_files(entry(role), host=EVERYWHERE), role)
    assert access.enabled
    assert lets_in(access, f"a-token-of-tests-{role}")
    assert not lets_in(access, "another-token-of-tests")
    for other in set(SERVICES) - {role}:
        with pytest.raises(SettingError, match=f"the role {other}"):
            make_access(with_files(entry(role), host=EVERYWHERE), other)


def test_a_write_key_protects_collect_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "key-in-the-environment")
    settings = with_files(sources="sources: {shop: {write_keys: [plain-key, {key: 'env:SHOP_KEY'}]}}")
    access = make_access(settings, Role.COLLECT)
    assert [access.admit(key).source for key in ("plain-key", "key-in-the-environment")] == ["shop", "shop"]
    assert not make_access(settings, Role.LOOKUP).enabled
    monkeypatch.delenv("SHOP_KEY")
    assert not make_access(settings, Role.LOOKUP).enabled
    with pytest.raises(SettingError, match=r"^sources\.yaml: source 'shop': write key 2: .*SHOP_KEY is not set"):
        make_access(settings, Role.COLLECT)


def test_what_wants_a_key_is_known_without_a_start() -> None:
    assert protected_services(load_settings()) == []
    settings = with_files(entry("lookup"), "sources: {shop: {write_key: plain-key}}")
    assert protected_services(settings) == ["collect", "lookup"]
    Path("access.yaml").write_text("tokens: [{}]")
    with pytest.raises(SettingError, match=r"access\.yaml: tokens\[0\]"):
        protected_services(settings)


def test_one_key_under_two_sources_is_refused() -> None:
    settings = with_files(sources="sources: {a: {write_key: the-same-key}, b: {write_keys: [the-same-key]}}")
    with pytest.raises(SettingError, match="source 'a' and source 'b' hold the same key"):
        make_access(settings, Role.COLLECT)


def test_rates_come_from_the_entry_or_from_the_setting() -> None:
    sources = "sources: {a: {write_keys: [first-key, second-key], requests_per_second: 3}, b: {write_key: third-key}}"
    access = make_access(with_files(sources=sources, requests_per_second_max=1), Role.COLLECT)
    assert sum(lets_in(access, key) for key in ("first-key", "second-key") * 4) == 3
    assert sum(lets_in(access, "third-key") for _ in range(4)) == 1


def test_nobody_who_may_read_metrics_is_told(lines: list[Any]) -> None:
    make_access(with_files(entry("collect")), Role.COLLECT)
    assert [(line["log_level"], line["service"]) for line in lines] == [("warning", "collect")]
    make_access(with_files("tokens: []"), Role.COLLECT)
    both = (
        "tokens:\n"
        "- {name: a, role: collect, token: a-token-of-tests-1}\n"
        "- {name: b, role: admin, token: a-token-of-tests-2}"
    )
    make_access(with_files(both), Role.COLLECT)
    assert len(lines) == 1


def test_the_token_of_up_lets_in_beside_the_others_and_protects_nothing() -> None:
    token = "made-by-up-for-its-children"  # noqa: S105 - it opens nothing.
    assert not make_access(load_settings(supervisor_token=token), Role.COLLECT).enabled
    settings = with_files(entry("collect"), supervisor_token=token)
    access = make_access(settings, Role.COLLECT)
    assert access.admit(token).name == "up"
    assert access.admit(token, frozenset({Role.METRICS})).name == "up"
    with pytest.raises(AccessRefused):
        access.admit(token, frozenset({Role.LOOKUP, Role.ADMIN}))
    assert token not in repr(settings)


def test_a_file_that_is_not_there_is_named_by_its_setting() -> None:
    with pytest.raises(SettingError, match=r"GOLDENTHREAD_ACCESS_FILE: absent\.yaml is no file"):
        make_access(load_settings(access_file=Path("absent.yaml")), Role.LOOKUP)


def test_plain_keys_end_at_the_start() -> None:
    settings = with_files(entry("collect"), "sources: {shop: {write_key: plain-key}}")
    access = make_access(settings, Role.COLLECT)
    assert "plain-key" not in repr(vars(access))
    assert "a-token-of-tests" not in repr(vars(access))


def test_a_fresh_token_is_random_and_known_by_its_beginning() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith(TOKEN_PREFIX) and len(token) >= TOKEN_LENGTH_BYTES * 4 / 3 for token in tokens)


def test_made_tokens_open_what_they_are_for(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "access"
    made = make_access_folder(folder)
    assert sorted(made) == ["access.yaml", "admin.token", "collect.token", "lookup.token", "metrics.token"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes.pop("access.yaml") == 0o600
    assert set(modes.values()) == {0o640}
    settings = load_settings(access_file=folder / "access.yaml", host=EVERYWHERE)
    for role in SERVICES:
        assert make_access(settings, role).admit((folder / f"{role}.token").read_text().strip()).name == role
    assert (folder / "lookup.token").read_text().strip() not in (folder / "access.yaml").read_text()


def test_making_again_changes_nothing_and_goes_on_where_it_was_cut_short(tmp_path: Path) -> None:
    make_access_folder(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert make_access_folder(tmp_path) == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "access.yaml").unlink()
    (tmp_path / "admin.token").unlink()
    assert make_access_folder(tmp_path) == ["admin.token", "access.yaml"]
    assert (tmp_path / "lookup.token").read_bytes() == before[tmp_path / "lookup.token"]
    (tmp_path / "access.yaml").unlink()
    (tmp_path / "lookup.token").write_text("short")
    with pytest.raises(SettingError, match=r"lookup\.token: a key has at least 16"):
        make_access_folder(tmp_path)
    assert not (tmp_path / "access.yaml").exists()


def test_a_new_token_is_printed_once_with_its_entry() -> None:
    arguments = ["access", "new", "--role", "lookup", "--role", "metrics", "--name", "desk", "--days", "30", "--json"]
    printed = json.loads(CliRunner().invoke(application, arguments).stdout)
    assert printed["token"].startswith(TOKEN_PREFIX)
    Path("access.yaml").write_text(f"tokens: [{json.dumps(printed['entry'])}]")
    key = make_access(load_settings(access_file=Path("access.yaml")), Role.LOOKUP).admit(printed["token"])
    assert (key.name, key.roles) == ("desk", frozenset({Role.LOOKUP, Role.METRICS}))
    text = CliRunner().invoke(application, arguments[:-1]).stdout
    assert text.count(TOKEN_PREFIX) == 1
    assert "sha256:" in text


def test_the_list_shows_nothing_that_lets_anybody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with_files("tokens: [{name: old, role: admin, token: a-token-of-tests, expires: 2020-01-01T00:00:00Z}]")
    monkeypatch.setenv("GOLDENTHREAD_ACCESS_FILE", "access.yaml")
    result = CliRunner().invoke(application, ["access", "list", "--json"])
    assert json.loads(result.stdout) == [
        {
            "name": "old",
            "roles": ["admin"],
            "expires": "2020-01-01T00:00:00Z",
            "state": "expired",
            "requests_per_second": None,
        }
    ]
    assert "expired" in CliRunner().invoke(application, ["access", "list"]).stdout
    monkeypatch.delenv("GOLDENTHREAD_ACCESS_FILE")
    assert isinstance(CliRunner().invoke(application, ["access", "list"]).exception, SettingError)
    unnamed = CliRunner().invoke(application, ["access", "new", "--role", "admin", "--name", ""])
    assert isinstance(unnamed.exception, UsageError)
