"""The consumer of docs/consume.md, as it stands there, against a running system."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_system import RunningSystem
from tests.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "consume.md"
LINES_MAX = 12

pytestmark = pytest.mark.kafka


def test_the_consumer_of_the_docs_prints_a_customer(system: RunningSystem, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(program.strip().splitlines()) <= LINES_MAX
    program = program.replace("127.0.0.1:9092", system.environment["KAFKA_BOOTSTRAP_SERVERS"])
    program = program.replace('"gt.context"', f'"{system.prefix}context"')
    identifier = ("email", "ann@consume.example")
    event = {"specversion": "1.0", "id": "c-1", "source": "consume", "type": "page.viewed", "channel": "web"}
    system.send(event | {"time": "2026-11-20T10:00:00Z", "data": {"identifiers": dict([identifier])}})
    wait_until(lambda: system.lookup(identifier).status == 200, "a context")
    customer = system.lookup(identifier).json["context"]["customer"]
    output = tmp_path / "output"
    with output.open("w") as printed:
        consumer = subprocess.Popen([sys.executable, "-c", program], stdout=printed, env=dict(os.environ))
        try:
            wait_until(
                lambda: f"{customer} recognised" in output.read_text().splitlines(), "the consumer prints the customer"
            )
        finally:
            consumer.kill()
            consumer.wait()
