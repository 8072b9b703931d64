"""The lock on a directory, within a process and between two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import SettingError
from streams.broker.directory_lock import DirectoryLock


def lock(directory: Path, wait_s: float = 0.0) -> DirectoryLock:
    return DirectoryLock(directory, setting="GOLDENTHREAD_DATA_DIR", wait_s=wait_s)


def test_a_second_lock_names_the_holder_and_the_setting(tmp_path: Path) -> None:
    with (
        lock(tmp_path / "new" / "deep"),
        pytest.raises(SettingError, match=f"in use by process {os.getpid()}.*set GOLDENTHREAD_DATA_DIR"),
    ):
        lock(tmp_path / "new" / "deep").acquire()


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    with lock(tmp_path):
        pass
    with lock(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from streams.broker.directory_lock import DirectoryLock\n"
        "DirectoryLock(Path(sys.argv[1]), setting='X').acquire(); print('locked', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(SettingError, match=f"process {holder.pid}"):
            lock(tmp_path).acquire()
        holder.kill()
        holder.wait()
        with lock(tmp_path):
            pass


def test_a_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="GOLDENTHREAD_DATA_DIR"):
        lock(tmp_path / "file" / "below").acquire()
