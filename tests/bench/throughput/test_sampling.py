"""What processes use is counted with their children, and told for the span that is asked for."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.throughput.sampling import Sampler, Usage, log_sizes_bytes, usage, used

_BUSY = "import subprocess, sys, time; subprocess.run([sys.executable, '-c', 'sum(range(10**7))']); time.sleep(60)"
DEADLINE_SECONDS = 30.0


def test_between_two_looks_processor_seconds_grow_evenly() -> None:
    looks = [(10.0, Usage(1.0, 100)), (11.0, Usage(3.0, 300)), (12.0, Usage(3.5, 200))]
    between = used(looks, 10.5, 11.5)
    assert between.processor_seconds == pytest.approx(3.25 - 2.0)
    assert between.resident_bytes == 300
    assert used(looks, 9.0, 13.0).processor_seconds == pytest.approx(2.5)
    assert used([], 0.0, 1.0) == (0.0, 0)


def test_children_of_a_session_are_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", _BUSY], start_new_session=True) as process:
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while usage([process.pid]).processor_seconds < 0.1:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert usage([process.pid]).resident_bytes > 1_000_000
        finally:
            process.kill()


def test_a_sampler_looks_at_this_very_process() -> None:
    session = os.getsid(0)
    began = time.time()
    with Sampler([session], session) as sampler:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while sampler.engine(began, time.time()).resident_bytes == 0:
            assert time.monotonic() < deadline
            sum(range(100_000))
    assert sampler.broker(began, time.time()).resident_mib > 1


def test_only_the_logs_of_a_runs_topics_count(tmp_path: Path) -> None:
    sizes = {"run1.context-0": 5, "run1.context-1": 7, "changelog__run1--x-0": 11, "run2.context-0": 13}
    for folder, size in sizes.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.log").write_bytes(b"x" * size)
        (tmp_path / folder / "0.index").write_bytes(b"x" * 99)
    assert log_sizes_bytes(tmp_path, "run1") == {"run1.context": 12, "changelog__run1--x": 11}
