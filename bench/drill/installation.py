"""What the drill knows of the installation that it drills."""

from typing import Protocol

from schemas.keys import Keyring
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions


class Installation(Protocol):
    """A running installation of its own broker, two workers, collect and lookup, and a third worker at will.

    Processes go by the names in `bench.drill.schedule`. Whatever ends is started again by its supervisor.
    """

    kafka: KafkaOptions
    catalogue: Catalogue
    keyring: Keyring
    collect_url: str
    lookup_url: str

    def pid(self, name: str) -> int | None:
        """The process id, or None while it does not run."""

    def wipe(self, name: str) -> None:
        """The next time that this worker or the lookup has ended, its disk is emptied before it comes back."""

    def arm(self, name: str, plan: str) -> None:
        """The next start of this worker gets this fault plan, and only that one."""

    def kills(self) -> int:
        """How many processes ended by SIGKILL, whoever sent it: the drill, or they themselves at a fault point."""

    def join(self) -> None:
        """Let the third worker come."""

    async def leave(self) -> None:
        """Let the third worker go, and wait until it is gone; nothing when there is none."""

    def not_ready(self) -> list[str]:
        """Names of the processes that should run but are not ready."""
