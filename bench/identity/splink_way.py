"""Splink on the same records, in an environment of its own that is made on request; nothing of it is in the project's.

A row is a distinct set of values that an event showed, with the names and the city that it told. Splink learns without
labels; of the thresholds that are tried, the one whose F1 is best in truth is taken, which nobody could choose without
knowing the truth: what it reaches in practice is at most this.
"""

import csv
import hashlib
import os
import subprocess
import venv
from collections import defaultdict
from collections.abc import Callable, Hashable
from itertools import zip_longest
from pathlib import Path
from typing import Final

from bench.identity.baselines import UnionFind, Way
from bench.identity.clusters import Judge
from bench.identity.records import EventKey, Record, pairs
from schemas.errors import RestartNeeded
from schemas.identifiers import Identifier
from streams.broker.options import default_cache_dir

REQUIREMENTS_FILE: Final = Path(__file__).with_name("requirements-splink.txt")
_JOB_FILE: Final = Path(__file__).with_name("splink_job.py")
# It downloads 230 MB.
_INSTALL_SECONDS_MAX: Final = 900.0
# Past these something is wrong rather than slow.
_LINK_SECONDS_MAX: Final = 3600.0
# Of what failed the last so many characters are told.
_MESSAGE_SHOWN_MAX: Final = 600
_KINDS: Final = ("crm", "account", "email", "phone", "loyalty", "device", "cookie")
# Splink has a column for each: an app's number is a device's here.
_COLUMN_OF: Final = {"app": "device"}
_TRAITS: Final = ("first_name", "last_name", "city")

Row = tuple[str, ...]


def splink_python(tell: Callable[[str], None]) -> Path:
    """The interpreter of splink's environment, which is made where it is missing.

    Raises:
        RestartNeeded: it can't be installed; the message says why.
    """
    digest = hashlib.sha256(REQUIREMENTS_FILE.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("GOLDENTHREAD_CACHE_DIR") or default_cache_dir())
    folder = cache / f"splink-{digest}"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        tell(f"installing splink into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        options = ("install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:")
        _run([str(python), "-m", "pip", *options, "--requirement", str(REQUIREMENTS_FILE)], _INSTALL_SECONDS_MAX)
        done.touch()
    return python


def splink_way(records: list[Record], folder: Path, tell: Callable[[str], None]) -> tuple[Way, float]:
    """The best of splink's ways, and its threshold.

    Raises:
        RestartNeeded: splink can't be installed, or failed.
    """
    python = splink_python(tell)
    rows: dict[Row, int] = {}
    event_rows: dict[EventKey, int] = {}
    for record in records:
        numbers = [rows.setdefault(row, len(rows)) for row in _rows(record)]
        if numbers:
            event_rows[record.key] = numbers[0]
    records_file, clusters_file = folder / "records.csv", folder / "clusters.csv"
    with records_file.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["unique_id", "realm", *_KINDS, *_TRAITS])
        writer.writerows([number, *row] for row, number in rows.items())
    tell(f"splink links {len(rows)} records")
    _run([str(python), str(_JOB_FILE), str(records_file), str(clusters_file)], _LINK_SECONDS_MAX)
    clusters: defaultdict[float, dict[int, Hashable]] = defaultdict(dict)
    with clusters_file.open(newline="") as file:
        for threshold, number, cluster in csv.reader(file):
            clusters[float(threshold)][int(number)] = cluster
    ways = {
        threshold: Way(records, _with_merges(records, event_rows, of_row)) for threshold, of_row in clusters.items()
    }
    truth = {record.key: record.truth for record in records}
    best = max(ways, key=lambda threshold: Judge(truth, ways[threshold].events).scores().f1)
    return ways[best], best


def _rows(record: Record) -> list[Row]:
    """A row; of several values of a kind one row each, which agree in all the rest."""
    if record.target is None:
        return []
    values: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for identifier in {record.target: None, **dict.fromkeys(record.evidence)}:
        values[_COLUMN_OF.get(identifier.kind, identifier.kind)].append(_comparable(identifier))
    traits = tuple(str(record.traits.get(name, "")) for name in _TRAITS)
    columns = [values[kind] or [""] for kind in _KINDS]
    filled = [tuple(row) for row in zip_longest(*columns)]
    first = filled[0]
    return [
        (
            record.target.realm,
            *(value if value is not None else first[place] for place, value in enumerate(row)),
            *traits,
        )
        for row in filled
    ]


def _comparable(identifier: Identifier) -> str:
    """Numbers of two systems are told apart here too."""
    return identifier.value if identifier.namespace == "default" else f"{identifier.namespace}/{identifier.value}"


def _with_merges(
    records: list[Record], event_rows: dict[EventKey, int], clusters: dict[int, Hashable]
) -> dict[EventKey, Hashable | None]:
    """Splink's clusters, and on top of them the merges that a system of record tells, as for everybody."""
    sets: UnionFind[Hashable] = UnionFind()
    of_event = {event: clusters.get(row, ("row", row)) for event, row in event_rows.items()}
    by_target: dict[Identifier, Hashable] = {}
    for record in records:
        if record.target is not None and record.key in of_event:
            by_target.setdefault(record.target, of_event[record.key])
    for record in records:
        for one, other in pairs(record.merged):
            if one in by_target and other in by_target:
                sets.unite(by_target[one], by_target[other])
    return {record.key: sets.find(of_event[record.key]) if record.key in of_event else None for record in records}


def _run(command: list[str], seconds_max: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds_max, check=False)  # noqa: S603 - our own command.
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RestartNeeded(f"{Path(command[0]).name}: {error}") from error
    if done.returncode != 0:
        raise RestartNeeded(f"{' '.join(command[1:4])} failed: {done.stderr.strip()[-_MESSAGE_SHOWN_MAX:]}")
