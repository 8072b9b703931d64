"""Starts worker processes in a fraction of a second: a process that has imported everything forks for each.

It reads one JSON object a line: the environment's settings and the file that the worker's output goes to. It answers
with the worker's process id, and later, once the worker has ended, with a line of the id and the code. Each worker is
`goldenthread worker` as the command line runs it. Run by `tests.crashes.workers`.
"""

import json
import os
import sys
import threading
from typing import Any

# Imported before any fork, so that no worker has to.
import goldenthread.processes.worker  # noqa: F401 - as above.
from goldenthread.commands.services import worker
from schemas.enrichment.enrichment import Enrichment
from streams.logs import configure_logs


def main() -> None:
    """Serve until the input ends."""
    # The libraries of enrichers load when the first is made.
    Enrichment()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _work(order)
        _answer({"pid": pid, "code": None})
        threading.Thread(target=_wait, args=(pid,), daemon=True).start()


def _work(order: dict[str, Any]) -> None:
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        configure_logs("INFO")
        worker()
    except BaseException as error:  # noqa: BLE001 - a fork that goes on would serve orders.
        sys.stderr.write(f"{error!r}\n")
        sys.stderr.flush()
        os._exit(70)


def _wait(pid: int) -> None:
    _answer({"pid": pid, "code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


def _answer(answer: dict[str, Any]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
