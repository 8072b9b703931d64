"""Checks of what is installed: Python, the packages against the lock, librdkafka."""

import platform
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

import confluent_kafka

from goldenthread.doctor.examination import Examination, Report

PYTHON_MIN: Final = (3, 11)
#: The lock, in a checkout and in the image; an installed wheel alone has only the pins of its own metadata.
LOCK: Final = Path(__file__).parents[2] / "requirements.txt"
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\*]+)(?:\s*;\s*(.*?))?\s*\\?$")
_SHOWN_MAX: Final = 5


def check_versions(_examination: Examination, report: Report) -> None:
    """Python is new enough, and packages are those that were tested together."""
    if sys.version_info < PYTHON_MIN:
        report.problem(f"Python is {platform.python_version()}", "use Python 3.11 or newer")
    names = pins(LOCK.read_text().splitlines() if LOCK.is_file() else requires("goldenthread") or ())
    different = differing(names)
    if different:
        report.warn(
            f"{len(different)} packages differ from the lock: {', '.join(different[:_SHOWN_MAX])}",
            "install again with pip install --require-hashes -r requirements.txt",
        )
    else:
        report.ok(
            f"goldenthread {version('goldenthread')}, Python {platform.python_version()}, librdkafka "
            f"{confluent_kafka.libversion()[0]}, {len(names)} packages as locked"
        )


def pins(lines: Iterable[str]) -> dict[str, str]:
    """Names and versions that are pinned exactly; lines for other machines than this are left out."""
    found: dict[str, str] = {}
    for line in lines:
        pin = _PIN.match(line.strip())
        # A marker or an extra may not apply here, so such a line is no promise.
        if pin is not None and pin[3] is None:
            found[pin[1]] = pin[2]
    return found


def differing(wanted: dict[str, str]) -> list[str]:
    """Packages that are missing or of another version than wanted."""
    return [
        f"{name} {found or 'is missing'} instead of {number}"
        for name, number in wanted.items()
        if (found := _installed(name)) != number
    ]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
