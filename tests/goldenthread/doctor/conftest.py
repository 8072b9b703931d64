"""Settings of a folder of its own for each test, and one check at a time."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
#: Serves these answers by path, with a clock that is so many seconds ahead; gives the port.
Serve = Callable[..., int]


@pytest.fixture
def examine(clean_environment: None, tmp_path: Path, free_ports: FreePorts) -> Examine:  # noqa: ARG001 - goes before.
    """A function that runs one check in an empty folder, where nothing listens on any port of the settings."""
    names = ("lookup_port", "collect_port", "admin_port", "worker_port", "broker_port", "controller_port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))

    def run(check: Callable[..., None], **settings: Any) -> list[Finding]:
        examination = Examination.of(load_settings(**{"data_dir": tmp_path / "data"} | ports | settings))
        return run_checks([Check("the check", check)], examination)

    return run


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(
        answers: Mapping[str, tuple[int, Any]], ahead_s: float = 0.0, headers: Mapping[str, str] | None = None
    ) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answers.get(self.path, (404, {}))
                text = body if isinstance(body, str) else json.dumps(body)
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the base's signature.
                return formatdate(time.time() + ahead_s, usegmt=True)

            def log_message(self, *_arguments: Any) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
