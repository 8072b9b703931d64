"""How a process ends: with the exit code of what happened, and at once, whatever its threads do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys, time
from goldenthread.processes.running import run_process
from schemas.errors import StateError, BrokerUnreachable
from streams.logs import configure_logs

configure_logs()

async def main(stopping):
    print("started", flush=True)
    {body}

run_process("test", main)
"""


def _start(body: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("return", 0, ""),
        ('raise StateError("what is gone")', 4, "StateError: what is gone"),
        ('raise BrokerUnreachable("no answer")', 3, "BrokerUnreachable: no answer"),
        ('raise ValueError("ann@example.com")', 3, "ValueError, see the log"),
    ],
)
def test_the_exit_code_says_what_happened(body: str, code: int, words: str) -> None:
    process = _start(body)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert words in errors
    assert errors.strip().splitlines()[-1].startswith(words) or not words


def test_sigterm_ends_a_process_in_order() -> None:
    process = _start('await stopping.wait(); print("ended", flush=True)')
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "ended\n")


def test_a_thread_that_hangs_does_not_keep_a_process_that_was_told_to_stop() -> None:
    process = _start("asyncio.ensure_future(asyncio.to_thread(time.sleep, 600)); await stopping.wait()")
    time_s = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert time.monotonic() - time_s < 20


def test_an_event_loop_that_is_blocked_does_not_keep_a_process_that_was_told_to_stop() -> None:
    shorter = "from goldenthread.processes import running; running.STOP_TIMEOUT_SECONDS = 1.0"
    process = _start(f'{shorter}; print("ready", flush=True); time.sleep(600)')
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert errors.strip().splitlines()[-1] == "RestartNeeded: test was told to stop and did not"
    assert 1 < time.monotonic() - began_s < 30
