"""Goal: what is wrong with settings, files and this machine is found. Method: each thing broken, one at a time."""

import os
import resource
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from goldenthread.doctor import versions
from goldenthread.doctor.access import check_access
from goldenthread.doctor.configuration import check_file_modes, check_files, check_secret, check_settings
from goldenthread.doctor.finding import Finding, Status
from goldenthread.doctor.machine import check_data_dir, check_open_files
from goldenthread.doctor.versions import check_versions, differing, pins
from goldenthread.secret import keyring
from goldenthread.settings import load_settings
from schemas.times import MICROSECONDS_PER_SECOND, format_time
from tests.goldenthread.doctor.conftest import Examine

LONG_SECRET = "a secret that is long enough"  # noqa: S105 - it keeps nothing.
TOKEN = "gt_0123456789abcdef0123456789abcdef0123456789"  # noqa: S105 - as above.


def said(findings: list[Finding], status: Status) -> str:
    """All that was found with this status, actions included."""
    return "\n".join(f"{one.found} {one.action}" for one in findings if one.status is status)


def test_what_is_set_is_named_and_never_quoted(examine: Examine) -> None:
    findings = examine(check_settings, secret=LONG_SECRET)
    assert "GOLDENTHREAD_SECRET" in said(findings, Status.OK)
    assert LONG_SECRET not in str(findings)


def test_a_fault_of_drills_is_a_problem(examine: Examine) -> None:
    assert "GOLDENTHREAD_FAULT" in said(examine(check_settings, fault="after_commit"), Status.PROBLEM)


def test_a_password_in_the_clear_is_warned_of(examine: Examine) -> None:
    login = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "u", "kafka_sasl_password": "p"}
    findings = examine(
        check_settings, kafka_bootstrap_servers="kafka:9092", kafka_security_protocol="sasl_plaintext", **login
    )
    assert "the password and all records" in said(findings, Status.WARNING)


def test_a_wrong_file_is_a_problem(examine: Examine, tmp_path: Path) -> None:
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: {shop: {channel: pigeon}}\n")
    assert "pigeon" in said(examine(check_files, sources_file=sources), Status.PROBLEM)
    sources.write_text("sources: {shop: {channel: web}}\n")
    assert "1 sources" in said(examine(check_files, sources_file=sources), Status.OK)


def test_without_a_sources_file_it_is_said_that_this_shell_names_none(examine: Examine) -> None:
    found = said(examine(check_files), Status.OK)
    assert "this shell names no sources file (GOLDENTHREAD_SOURCES_FILE)" in found
    assert "running processes may have another" in found


def test_a_wrong_sources_file_is_told_once_and_a_wrong_write_key_where_keys_are(
    examine: Examine, tmp_path: Path
) -> None:
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: {shop: {chanel: web}}\n")
    assert "chanel" in said(examine(check_files, sources_file=sources), Status.PROBLEM)
    access = examine(check_access, sources_file=sources)
    assert not said(access, Status.PROBLEM)
    assert "see files" in said(access, Status.SKIPPED)
    sources.write_text("sources: {shop: {channel: web, write_key: 'env:NOT_THERE'}}\n")
    assert not said(examine(check_files, sources_file=sources), Status.PROBLEM)
    assert "NOT_THERE" in said(examine(check_access, sources_file=sources), Status.PROBLEM)


def test_a_secret_that_anybody_may_read_is_a_problem(examine: Examine, tmp_path: Path) -> None:
    keyring(load_settings(data_dir=tmp_path / "data"))
    assert not said(examine(check_file_modes), Status.PROBLEM)
    (tmp_path / "data" / "secret").chmod(0o644)
    assert "chmod o-rwx" in said(examine(check_file_modes), Status.PROBLEM)


def test_an_env_file_with_secrets_that_anybody_may_read_is_a_problem(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GOLDENTHREAD_PARTITIONS=4\n")
    assert not said(examine(check_file_modes), Status.PROBLEM)
    (tmp_path / ".env").write_text(f"GOLDENTHREAD_SECRET={LONG_SECRET}\n")
    (tmp_path / ".env").chmod(0o644)
    assert ".env" in said(examine(check_file_modes), Status.PROBLEM)


@pytest.mark.parametrize(
    ("entry", "open_"), [("", False), (", write_key: 'sha256:00'", False), (", write_key: plain-one", True)]
)
def test_sources_are_private_only_if_they_hold_keys(examine: Examine, tmp_path: Path, entry: str, open_: bool) -> None:
    sources = tmp_path / "sources.yaml"
    sources.write_text(f"# a write_key would stand here\nsources:\n  shop: {{channel: web{entry}}}\n")
    sources.chmod(0o644)
    assert ("sources.yaml" in said(examine(check_file_modes, sources_file=sources), Status.PROBLEM)) is open_


def test_the_secret_has_to_be_that_of_the_data(examine: Examine, tmp_path: Path) -> None:
    nothing = said(examine(check_secret), Status.WARNING)
    assert nothing.startswith("there is no secret in ")
    assert "GOLDENTHREAD_DATA_DIR" in nothing
    keyring(load_settings(data_dir=tmp_path / "data"))
    assert "back it up" in said(examine(check_secret), Status.OK)
    assert "is not the one" in said(examine(check_secret, secret=LONG_SECRET), Status.PROBLEM)
    (tmp_path / "data" / "secret").unlink()
    assert "is gone" in said(examine(check_secret), Status.PROBLEM)
    (tmp_path / "data" / "secret").write_text("short")
    assert "too short" in said(examine(check_secret), Status.PROBLEM)


def access_file(path: Path, **more: Any) -> Path:
    fields = "".join(f", {name}: {value}" for name, value in more.items())
    path.write_text(f"tokens:\n  - {{name: desk, roles: [lookup, collect, admin], token: '{TOKEN}'{fields}}}\n")
    return path


def test_tokens_are_told_of_before_they_expire(examine: Examine, tmp_path: Path) -> None:
    def in_days(days: float) -> str:
        return format_time(int((time.time() + days * 86_400) * MICROSECONDS_PER_SECOND))

    path = tmp_path / "access.yaml"
    findings = examine(check_access, access_file=access_file(path))
    assert (said(findings, Status.WARNING), said(findings, Status.OK)) == ("", "1 keys ")
    assert not said(examine(check_access, access_file=access_file(path, expires=in_days(15))), Status.WARNING)
    soon = said(examine(check_access, access_file=access_file(path, expires=in_days(3.5))), Status.WARNING)
    assert "token desk expires in 3 days" in soon
    assert "has expired" in said(
        examine(check_access, access_file=access_file(path, expires=in_days(-1))), Status.WARNING
    )
    assert TOKEN not in soon


def test_a_service_that_is_open_to_other_machines_is_a_problem(examine: Examine) -> None:
    assert "GOLDENTHREAD_HOST" in said(examine(check_access, host="0.0.0.0"), Status.PROBLEM)  # noqa: S104 - a setting.
    assert "everybody on 127.0.0.1" in said(examine(check_access), Status.OK)


def test_packages_are_held_to_the_lock(examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "as locked" in said(examine(check_versions), Status.OK)
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"msgspec==0.0.1 \\\n    --hash=sha256:00\npyyaml=={version('pyyaml')}\nnot-there==1.0\n")
    monkeypatch.setattr(versions, "LOCK", lock)
    warning = said(examine(check_versions), Status.WARNING)
    assert "2 packages differ" in warning
    assert "instead of 0.0.1" in warning
    assert "not-there is missing" in warning


def test_only_exact_pins_without_conditions_are_promises() -> None:
    lines = ["a==1.0 \\", "b[extra]==2.0", "c==3.0 ; sys_platform == 'win32' \\", "d==4.*", "e>=5", "    --hash=x"]
    assert pins(lines) == {"a": "1.0", "b": "2.0"}
    assert differing({"pyyaml": version("pyyaml")}) == []


def test_a_data_directory_that_is_not_this_users_is_a_problem(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "not there yet" in said(examine(check_data_dir), Status.WARNING)
    inside = tmp_path / "data" / "worker-0"
    inside.mkdir(parents=True)
    assert "can be written to" in said(examine(check_data_dir), Status.OK)
    # Tests may run as root, to whom the system refuses nothing.
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != inside)
    assert "worker-0" in said(examine(check_data_dir), Status.PROBLEM)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert "GOLDENTHREAD_DATA_DIR" in said(examine(check_data_dir), Status.PROBLEM)


@pytest.mark.parametrize(("free_gib", "status"), [(0.5, Status.PROBLEM), (3, Status.WARNING), (50, Status.OK)])
def test_a_full_disk_is_told_of(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, free_gib: float, status: Status
) -> None:
    total = 100 * 1024**3
    usage = shutil._ntuple_diskusage(total, total, int(free_gib * 1024**3))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert f"{free_gib:.1f} GiB free" in said(examine(check_data_dir), status)


@pytest.mark.parametrize(
    ("limit", "status"),
    [(256, Status.PROBLEM), (800, Status.WARNING), (4096, Status.OK), (resource.RLIM_INFINITY, Status.OK)],
)
def test_a_low_limit_of_open_files_is_told_of(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, limit: int, status: Status
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (limit, limit))
    (finding,) = examine(check_open_files)
    assert finding.status is status
