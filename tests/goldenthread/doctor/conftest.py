"""Settings of a folder of its own for each test, and one check at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goldenthread.doctor.examination import Examination
from goldenthread.doctor.finding import Finding
from goldenthread.doctor.running import Check, run_checks
from goldenthread.settings import load_settings
from tests.conftest import FreePorts

#: Runs one check; settings by their names in lower case.
Examine = Callable[..., list[Finding]]


@pytest.fixture
def examine(clean_environment: None, tmp_path: Path, free_ports: FreePorts) -> Examine:  # noqa: ARG001 - goes before.
    """A function that runs one check in an empty folder, where nothing listens on any port of the settings."""
    names = ("lookup_port", "collect_port", "worker_port", "broker_port", "controller_port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))

    def run(check: Callable[..., None], **settings: Any) -> list[Finding]:
        examination = Examination.of(load_settings(**{"data_dir": tmp_path / "data"} | ports | settings))
        return run_checks([Check("the check", check)], examination)

    return run
