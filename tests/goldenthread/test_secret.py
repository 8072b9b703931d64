"""Goal: one secret for one data directory, for ever. Method: files in a folder, and two processes that race."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from io import TextIOBase
from pathlib import Path

import pytest

from goldenthread.commands.up import _log_file
from goldenthread.secret import FINGERPRINT_FILE, SECRET_FILE, installation_name, keyring
from goldenthread.settings import Settings, load_settings
from schemas.errors import SecretError, SettingError
from schemas.keys import Keyring
from streams.broker.directory_lock import DirectoryLock

pytestmark = pytest.mark.usefixtures("clean_environment")

ROOT = Path(__file__).parents[2]
GIVEN = "a secret of enough bytes"
RACE = """
import sys, time
from pathlib import Path
from goldenthread.secret import keyring
from goldenthread.settings import Settings
start, folder = float(sys.argv[1]), Path(sys.argv[2])
settings = Settings(data_dir=folder)
time.sleep(max(0, start - time.time()))
print(keyring(settings).fingerprint)
"""


def _settings(folder: Path, secret: str | None = None) -> Settings:
    return load_settings(data_dir=folder, secret=secret)


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = keyring(_settings(tmp_path / "data"))
    path = tmp_path / "data" / SECRET_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) >= 32
    assert keyring(_settings(tmp_path / "data")).fingerprint == first.fingerprint
    assert {file.name for file in (tmp_path / "data").iterdir()} == {SECRET_FILE, FINGERPRINT_FILE}


def test_two_installations_have_two_secrets(tmp_path: Path) -> None:
    assert keyring(_settings(tmp_path / "a")).fingerprint != keyring(_settings(tmp_path / "b")).fingerprint


def test_a_given_secret_is_not_written_down(tmp_path: Path) -> None:
    assert keyring(_settings(tmp_path, GIVEN)).fingerprint == Keyring(GIVEN.encode()).fingerprint
    assert {file.name for file in tmp_path.iterdir()} == {FINGERPRINT_FILE}
    assert GIVEN not in (tmp_path / FINGERPRINT_FILE).read_text()


def test_another_secret_than_the_datas_is_refused(tmp_path: Path) -> None:
    keyring(_settings(tmp_path, GIVEN))
    with pytest.raises(SecretError, match=f"GOLDENTHREAD_SECRET is not the one that {tmp_path} was written with"):
        keyring(_settings(tmp_path, GIVEN + "!"))
    # Nor is one made instead.
    with pytest.raises(SecretError):
        keyring(_settings(tmp_path))
    keyring(_settings(tmp_path, GIVEN))


def test_a_short_secret_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="GOLDENTHREAD_SECRET has 5 bytes, at least 16"):
        keyring(_settings(tmp_path / "data", "short"))
    assert list((tmp_path / "data").iterdir()) == []


def _lock(settings: Settings) -> None:
    with DirectoryLock(settings.data_dir, setting="GOLDENTHREAD_DATA_DIR"):
        pass


@pytest.mark.parametrize("make", [keyring, _log_file, _lock])
def test_a_data_directory_is_made_for_this_user_alone(make: Callable[[Settings], object], tmp_path: Path) -> None:
    settings = _settings(tmp_path / "above" / "data")
    made = make(settings)
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    if isinstance(made, TextIOBase):
        made.close()


def test_the_rights_of_a_data_directory_that_is_there_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o750)
    keyring(_settings(tmp_path / "data"))
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o750


def test_a_data_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    settings = _settings(tmp_path / "file" / "data")
    (tmp_path / "file").touch()
    for attempt in (keyring, installation_name, _log_file):
        with pytest.raises(SettingError, match=rf"^GOLDENTHREAD_DATA_DIR: {settings.data_dir} can't be used \("):
            attempt(settings)


def test_a_secret_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).mkdir()
    with pytest.raises(SettingError, match=r"^GOLDENTHREAD_DATA_DIR: .*secret"):
        keyring(_settings(tmp_path))


def test_two_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    start = time.time() + 3
    command = [sys.executable, "-c", RACE, str(start), str(tmp_path / "data")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    racers = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert answers[0]
    assert len(set(answers)) == 1
