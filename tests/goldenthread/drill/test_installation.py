"""What is drilled has settings, folder and ports of its own, whatever those of the caller are."""

import os
from pathlib import Path

import pytest

from bench.drill.schedule import EXTRA_WORKER, WORKERS
from goldenthread.drill.installation import DrilledInstallation
from goldenthread.settings import PREFIX, Settings, load_settings
from goldenthread.supervisor.child_spec import ChildEvent, ChildState, ChildStatus


@pytest.fixture
def caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clean_environment: None) -> Settings:  # noqa: ARG001 - for its effect.
    """Settings of somebody's own installation."""
    monkeypatch.setenv("GOLDENTHREAD_TOPIC_PREFIX", "theirs.")
    monkeypatch.setenv("GOLDENTHREAD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker.example:9092")
    (tmp_path / ".env").write_text("GOLDENTHREAD_PARTITIONS=7\n")
    return load_settings()


@pytest.fixture
def installation(caller: Settings, tmp_path: Path) -> DrilledInstallation:
    folder = tmp_path / "drill"
    folder.mkdir()
    return DrilledInstallation(folder, caller, session_timeout_seconds=4.5)


def settings_of(
    environment: dict[str, str], installation: DrilledInstallation, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The settings of a process that is started with this environment, in the folder where it is started."""
    for name in list(os.environ):
        if name.startswith((PREFIX, "KAFKA_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation._folder)
    return load_settings()


def test_of_the_callers_settings_only_those_of_the_machine_count(
    installation: DrilledInstallation, caller: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (caller.topic_prefix, caller.partitions) == ("theirs.", 7)
    settings = settings_of(installation._environment, installation, monkeypatch)
    assert settings.model_fields_set == {
        "kafka_bootstrap_servers", "data_dir", "secret", "sources_file", "session_timeout_s", "collect_port",
        "lookup_port", "cache_dir",
    }  # fmt: skip
    assert settings.kafka_bootstrap_servers == installation.kafka.bootstrap_servers
    assert settings.cache_dir == caller.cache_dir
    assert settings.session_timeout_s == 4.5


def test_each_worker_has_a_port_of_its_own_and_all_share_the_folder(
    installation: DrilledInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        settings_of(installation._worker_environments[name], installation, monkeypatch)
        for name in (*WORKERS, EXTRA_WORKER)
    ]
    assert [settings.worker_index for settings in found] == [0, 1, 2]
    ports = {settings.worker_port + settings.worker_index for settings in found}
    assert len(ports | {found[0].collect_port, found[0].lookup_port}) == 5
    assert {settings.worker_dir.parent for settings in found} == {installation._data_dir}


def test_a_plan_is_for_one_start_and_a_disk_is_wiped_once_the_worker_has_ended(
    installation: DrilledInstallation,
) -> None:
    def tell(state: ChildState, detail: str = "") -> None:
        installation._on_event(ChildEvent(ChildStatus("worker-1", state, 0.0, None, 0), detail))

    disks = [installation._data_dir / name for name in WORKERS]
    for disk in disks:
        disk.mkdir(parents=True)
    installation.arm("worker-1", "context/after_commit:2")
    installation.wipe("worker-1")
    tell(ChildState.READY)
    assert all(disk.exists() for disk in disks)
    tell(ChildState.BACKING_OFF, "was killed by signal 9; starts again in 0.1 s")
    assert [disk.exists() for disk in disks] == [True, False]
    assert installation._worker_environments["worker-1"]["GOLDENTHREAD_FAULT"] == "context/after_commit:2"
    assert "GOLDENTHREAD_FAULT" not in installation._worker_environments["worker-0"]
    tell(ChildState.STARTING)
    assert "GOLDENTHREAD_FAULT" not in installation._worker_environments["worker-1"]
    tell(ChildState.BACKING_OFF, "ended with code 3; starts again in 0.1 s")
    assert installation.kills() == 1
