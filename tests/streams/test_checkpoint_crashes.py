"""Goal: killed at any point, every record counts once and every output is there once. Method: kills, real broker."""

import signal
import subprocess
import sys
from collections import Counter
from itertools import cycle
from pathlib import Path

import pytest

from schemas.topics import Catalogue, Topic
from streams.faults import FaultPoint
from streams.kafka import KafkaOptions
from tests.streams.counting import counted
from tests.streams.feeding import send

pytestmark = [pytest.mark.kafka, pytest.mark.crash]
ROOT = Path(__file__).parents[2]
RECORDS = 200
VALUES = [b"key-%d|%d" % (number % 7, number) for number in range(RECORDS)]
#: Opening and intake are met by real workers, in tests/crashes.
POINTS = [point for point in FaultPoint if not point.startswith(("intake", "open"))]


@pytest.mark.parametrize(("point", "disk"), list(zip(POINTS, cycle(["same", "wiped"]), strict=False)))
def test_killed_at_a_point_nothing_is_lost_or_doubled(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path, point: FaultPoint, disk: str
) -> None:
    send(kafka, catalogue.name(Topic.ROUTED), [(None, value) for value in VALUES])

    def run(folder: str, plan: str) -> "subprocess.CompletedProcess[str]":
        arguments = [kafka.bootstrap_servers, catalogue.prefix, tmp_path / folder, tmp_path / "acknowledged", RECORDS]
        return subprocess.run(
            [sys.executable, "-m", "tests.streams.crashing_partition", *map(str, arguments), plan],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    # The second checkpoint: one is complete, and there is more to come.
    killed = run("first", f"{point}:2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    restarted = run("first" if disk == "same" else "second", "")
    assert restarted.returncode == 0, restarted.stderr
    counts, outputs = counted(kafka, catalogue)
    assert counts == Counter(value.split(b"|")[0] for value in VALUES)
    assert outputs == Counter(VALUES)
