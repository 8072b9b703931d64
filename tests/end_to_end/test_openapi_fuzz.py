"""Schemathesis asks the running services what their OpenAPI documents allow, and much that they do not.

Every answer has to be one that the document knows, with the body that it says, and never a server error.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_system import RunningSystem

CONFIG = Path(__file__).with_name("schemathesis.toml")
#: For each operation and phase; what is known to be tricky in a schema is tried besides.
EXAMPLES_MAX = 5
TIMEOUT_S = 240
#: The calls of Segment's API are of one shape under fourteen paths: two of them stand for all.
SEGMENT_TWINS = r"^/v1/(identify|page|screen|group|alias|import|[itpsgabm])/?$"

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("service", ["collect", "lookup", "admin", "worker"])
def test_answers_are_what_the_document_says(system: RunningSystem, service: str, tmp_path: Path) -> None:
    # The example that the documents give, so that some look-ups find a context.
    event = {"specversion": "1.0", "id": "f-1", "source": "fuzz", "type": "page.viewed", "channel": "web"}
    system.send(event | {"time": "2026-11-20T10:00:00Z", "data": {"identifiers": {"email": "ann@example.com"}}})
    system.wait_quiet()
    urls = {"collect": system.collect_url, "lookup": system.lookup_url, "admin": system.admin_url}
    url = (urls | {"worker": system.worker_url})[service]
    program = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
    options = ("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES_MAX))
    asked = subprocess.run(
        [
            sys.executable, "-c", program, "--config-file", str(CONFIG), "run", f"{url}/openapi.json",
            *options, "--exclude-path-regex", SEGMENT_TWINS, "--no-color",
        ],
        cwd=tmp_path, env=system.environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout + asked.stderr
