"""How long it takes until events come through again after an outage, told by events of customers of their own."""

import secrets
import time
from collections.abc import Sequence
from typing import Final

from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.topics import DEFAULT_PARTITIONS, partition_of
from tests.running_system import SECRET, RunningSystem
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

#: From the broker's first answer until events that are sent then are looked up; asked for where nothing else runs.
RESUMED_WITHIN_S: Final = 30.0
EVENTS_PER_SECOND: Final = 20.0
#: As up has them by default: an outage, however long, must not use them up.
DEFAULT_RESTARTS: Final = {"GOLDENTHREAD_RESTARTS_MAX": "15", "GOLDENTHREAD_RESTART_WINDOW_S": "120"}


def canaries() -> list[dict[str, object]]:
    """An event for each partition of contexts: one that stands still while the others go on is not overlooked."""
    found: dict[int, str] = {}
    ring = Keyring(SECRET.encode())
    while len(found) < DEFAULT_PARTITIONS:
        email = f"{secrets.token_hex(6)}@canary.example"
        key = ring.fragment_id(Identifier("email", email)).encode()
        found.setdefault(partition_of(key, DEFAULT_PARTITIONS), email)
    return [
        {
            "specversion": "1.0", "id": email, "source": "canaries", "type": "page.viewed", "channel": "web",
            "time": "2026-01-05T10:00:00Z", "data": {"identifiers": {"email": email}},
        }
        for email in found.values()
    ]  # fmt: skip


def seconds_to_resume(system: RunningSystem, events: Sequence[dict[str, object]]) -> float:
    """Until the lookup shows all events that collect is given now, again and again."""
    began_s = time.monotonic()

    def accepted() -> bool:
        try:
            system.send(*events)
        except (AssertionError, OSError):
            return False
        return True

    def shown() -> bool:
        try:
            return all(system.lookup(("email", str(event["id"]))).status == 200 for event in events)
        except OSError:
            return False

    wait_until(accepted, "accepted events", SYSTEM_DEADLINE_S)
    wait_until(shown, "their contexts", SYSTEM_DEADLINE_S)
    return time.monotonic() - began_s
