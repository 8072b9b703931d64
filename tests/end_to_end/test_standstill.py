"""A stage that is stuck ends its worker, by the watchdog or at SIGTERM's deadline, and the next one has it exact."""

import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.public_topics import tail
from tests.running_system import RunningSystem
from tests.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.crash]

EMAIL = "still@example.com"
#: The worker's own bound is 25 s, and 2 s for whoever does not even notice.
STOPPED_WITHIN_S = 45.0


def _event(number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"still-{number}",
        "source": "standstills",
        "type": "page.viewed",
        "time": "2026-01-05T10:00:00Z",
        "channel": "web",
        "data": {"identifiers": {"email": EMAIL}},
    }


def _worker_log(system: RunningSystem) -> str:
    return Path(system.data_dir / "logs" / "worker.log").read_text()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "fault",
    [
        # A thread that hangs in the middle of a transaction, and a handler that blocks the whole event loop.
        "context/after_rows:3=wait-900",
        pytest.param("intake/intake_after_flush:3=wait-900", marks=pytest.mark.drill),
    ],
)
def test_a_stuck_stage_is_ended_started_again_and_exact(make_system: SystemMaker, fault: str) -> None:
    with make_system("stuck", GOLDENTHREAD_FAULT=fault, GOLDENTHREAD_STANDSTILL_TIMEOUT_S="4").start() as system:
        first = system.children()["worker"]
        for number in range(4):
            system.send(_event(number))
            if number < 2:
                system.wait_quiet()
        wait_until(lambda: system.children().get("worker") not in {None, first}, "another worker")
        system.wait_quiet()
        context = system.lookup(("email", EMAIL)).json["context"]
        assert context["interactions"]["count"] == 4
        assert sorted(record["value"]["id"] for record in tail(system, "interactions")) == [
            f"still-{number}" for number in range(4)
        ]
        log = _worker_log(system)
        assert "the watchdog ends the worker" in log
        # What is in hand stands still, and so does what waits behind it in another partition: either may be told first.
        assert "does not move for" in log or "though committed records wait" in log
        assert system.stop() == 0


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_stuck_handler_does_not_keep_a_worker_that_was_told_to_stop(make_system: SystemMaker) -> None:
    fault = "intake/intake_after_flush:1=wait-900"
    with make_system(
        "stuck-stop", GOLDENTHREAD_FAULT=fault, GOLDENTHREAD_STANDSTILL_TIMEOUT_S="3600"
    ).start() as system:
        before = system.metric(system.worker_url, "goldenthread_records_written_total")
        system.send(_event(1))
        # The blocked loop answers no probe either.
        wait_until(lambda: _is_stuck(system, before), "a stuck worker")
        began_s = time.monotonic()
        system.process.send_signal(signal.SIGTERM)
        assert system.ended() == 0
        assert time.monotonic() - began_s < STOPPED_WITHIN_S
        assert "was told to stop and did not" in _worker_log(system)


def _is_stuck(system: RunningSystem, before: float) -> bool:
    try:
        return system.metric(system.worker_url, "goldenthread_records_written_total") < before
    except OSError:
        return True
