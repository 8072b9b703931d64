"""Whether a service's copy of `identity.links` may be answered from: complete, and of the right secret."""

import asyncio
from collections.abc import Callable
from typing import Final

from schemas.keys import Keyring
from schemas.rows import LinkRow, RowDecoder
from state.engine import Rows
from streams.follower import Follower
from streams.logs import logger

log = logger(__name__)

_WATCH_SECONDS: Final = 0.2
_LINK_ROW: Final = RowDecoder(LinkRow)


class FollowedCopy:
    """A service's copy, while its follower keeps it up to date.

    Args:
        name: The service's, for the log.
        follower: What keeps the copy; started and stopped by whoever watches.
        rows: The copy.
        keyring: What identifiers are unsealed with.
        links_prefix: What the keys of link rows start with in this copy; the fragment follows.
    """

    def __init__(self, name: str, follower: Follower, rows: Rows, keyring: Keyring, links_prefix: bytes) -> None:
        self._ready_line = f"{name} ready"
        self._follower = follower
        self._rows = rows
        self._keyring = keyring
        self._links_prefix = links_prefix
        self._reasons: tuple[str, ...] = ("the broker did not answer yet",)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nothing may be answered from it; empty once it was complete, and while it is not made anew."""
        if self._reasons or self._follower.ready:
            return self._reasons
        return ("the copy is being made anew",)

    def begun(self) -> None:
        """The broker answers, and what happened before the start is read now."""
        self._reasons = ("what happened before the start is still being read",)

    async def watch(self, *, look: Callable[[], None], known: Callable[[], bool] = lambda: True) -> None:
        """Verify the secret whenever the copy has become complete; ends only by an error or by cancellation.

        Args:
            look: Called now and then; what it raises ends the watch.
            known: Whether all else that the first answer needs is there.

        Raises:
            GoldenthreadError: what stopped the follower, or what `look` raised.
            SecretError: the topics were written with another secret.
        """
        secret_verified = False
        while self._follower.failure is None:
            if not self._follower.ready:
                # A copy that was made anew may be one of topics that were made anew.
                secret_verified = False
            elif not secret_verified:
                await asyncio.to_thread(self._verify_secret)
                secret_verified = True
            if secret_verified and self._reasons and known():
                self._reasons = ()
                log.info(self._ready_line)
            look()
            await asyncio.sleep(_WATCH_SECONDS)
        raise self._follower.failure

    def _verify_secret(self) -> None:
        """Refuse topics of another secret: with this one, every identifier would seem unknown, in orders too.

        Raises:
            SecretError: the first identifier of the copy can't be unsealed.
        """
        for key, value in self._rows.scan(self._links_prefix):
            self._keyring.unseal(_LINK_ROW.decode(value).sealed, key.removeprefix(self._links_prefix).decode())
            return
