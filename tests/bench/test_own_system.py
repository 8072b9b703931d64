"""What benchmarks of a system of their own share."""

import os
import time
from pathlib import Path

from bench.memory import ProcessorsUsed
from bench.own_system import folder_for


def test_a_folder_that_is_given_stays_and_a_made_one_goes(tmp_path: Path) -> None:
    with folder_for("test", tmp_path) as kept:
        assert kept == tmp_path
    assert tmp_path.is_dir()
    with folder_for("test", None) as made:
        assert made.is_dir()
        assert made.name.startswith("goldenthread-test-")
    assert not made.exists()


def test_processors_used_are_those_since_the_beginning_and_none_of_a_process_that_is_gone() -> None:
    used = ProcessorsUsed({"us": os.getpid(), "nobody": 2**22 + 1})
    until = time.process_time() + 0.2
    while time.process_time() < until:
        sum(range(1000))
    average = used.average()
    assert average["us"] > 0.0
    assert average["nobody"] == 0.0
