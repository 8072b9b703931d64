"""Checks of this machine: the data directory, its disk, open files, and who listens on our ports."""

import os
import resource
import shutil
import socket
from pathlib import Path
from typing import Final

from goldenthread.doctor.examination import Examination, Report
from goldenthread.settings import variable_name

_GIB: Final = 1024**3
# RocksDB needs room to write anew what it compacts, and the local broker to go on at all.
DISK_FREE_BYTES_MIN: Final = 1 * _GIB
DISK_FREE_BYTES_WANTED: Final = 5 * _GIB
# Each store keeps at most 256 files open, and each HTTP service as many connections as its limit.
OPEN_FILES_MIN: Final = 512
OPEN_FILES_WANTED: Final = 1024
CONNECT_TIMEOUT_SECONDS: Final = 1.0


def check_data_dir(examination: Examination, report: Report) -> None:
    """The data directory is there and can be written to, and its disk has room."""
    path, name = examination.settings.data_dir, variable_name("data_dir")
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        report.problem(f"{there} can't be written to by this user", f"change its owner, or set {name}")
    elif there != path.absolute():
        report.warn(f"{path} is not there yet", f"the first start makes it; set {name} if it should be elsewhere")
    else:
        closed = [entry.name for entry in _entries(path) if not os.access(entry, os.W_OK)]
        if closed:
            report.problem(
                f"in {path} this user can't write to {', '.join(sorted(closed))}",
                "start all processes as one user, and give him what is there (chown -R)",
            )
        else:
            report.ok(f"{path} can be written to")
    _check_disk(there, report)


def _check_disk(folder: Path, report: Report) -> None:
    free = shutil.disk_usage(folder).free
    found = f"{free / _GIB:.1f} GiB free on the disk of {folder}"
    action = f"free some space, or set {variable_name('data_dir')} to a larger disk; stores come back from the topics"
    if free < DISK_FREE_BYTES_MIN:
        report.problem(f"{found}, less than {DISK_FREE_BYTES_MIN / _GIB:.0f}", action)
    elif free < DISK_FREE_BYTES_WANTED:
        report.warn(f"{found}, less than {DISK_FREE_BYTES_WANTED / _GIB:.0f}", action)
    else:
        report.ok(found)


def check_open_files(_examination: Examination, report: Report) -> None:
    """As many files may be open as stores and connections need."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = (
        f"{limit} files may be open at once" if limit != resource.RLIM_INFINITY else "any number of files may be open"
    )
    action = "raise the limit: ulimit -n 65536, LimitNOFILE= in a systemd unit, or ulimits in compose"
    if 0 <= limit < OPEN_FILES_MIN:
        report.problem(f"{found}, at least {OPEN_FILES_MIN} are needed", action)
    elif 0 <= limit < OPEN_FILES_WANTED:
        report.warn(f"{found}, {OPEN_FILES_WANTED} or more are wanted", action)
    else:
        report.ok(found)


def listens(host: str, port: int) -> bool:
    """Whether anybody takes connections there."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def _entries(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []
