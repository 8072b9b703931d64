"""Goal: commands beside `up` are told its settings, and no secret is shown. Method: environments by hand."""

from pathlib import Path

import pytest

from goldenthread.commands.up import same_settings
from goldenthread.settings import load_settings


def told(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], data_dir: Path | None = None) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return same_settings(load_settings(data_dir=data_dir), environment)


@pytest.mark.usefixtures("clean_environment")
def test_what_is_not_set_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, {"PATH": "/bin", "GOLDENTHREAD_FAULT": ""}) == ""


@pytest.mark.usefixtures("clean_environment")
def test_every_setting_is_told_as_a_shell_takes_it_but_for_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = "a secret that is long enough"  # noqa: S105 - it keeps nothing.
    environment = {
        "GOLDENTHREAD_WORKER_PORT": "18100",
        "GOLDENTHREAD_PARTITIONS": "2",
        "GOLDENTHREAD_SECRET": secret,
        "GOLDENTHREAD_SOURCES_FILE": "my sources.yaml",
        "GOLDENTHREAD_FAULT": "after_commit",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:19092",
    }
    line = told(monkeypatch, environment, tmp_path / "data")
    assert line.strip() == (
        f"with the same settings: export GOLDENTHREAD_DATA_DIR={tmp_path / 'data'} GOLDENTHREAD_PARTITIONS=2 "
        "GOLDENTHREAD_SOURCES_FILE='my sources.yaml' GOLDENTHREAD_WORKER_PORT=18100 "
        "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:19092; and this shell's GOLDENTHREAD_SECRET"
    )
    assert secret not in line
