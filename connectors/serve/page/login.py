"""Keys typed into the login form: how many may be tried, and how long an answer takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from connectors.serve.page.faults import TOO_MANY_LOGINS, PageFault
from connectors.web.rate_limits import RateLimits
from schemas.clock import Clock

#: Attempts a second from one address, and from all of them. Keys are random: this bounds the load, not the guessing.
ATTEMPTS_PER_SECOND: Final = 1.0
ATTEMPTS_PER_SECOND_OF_ALL: Final = 20.0
#: Every answer takes as long, whatever was wrong.
ANSWER_SECONDS: Final = 0.3
_ALL: Final = "all"


class Attempts:
    """Counts attempts by address, in a bounded table."""

    def __init__(self, clock: Clock) -> None:
        self._limits = RateLimits(clock)

    @asynccontextmanager
    async def one(self, address: str) -> AsyncIterator[None]:
        """One attempt; leaving it takes until `ANSWER_SECONDS` after its begin.

        Raises:
            PageFault: 429, there were too many.
        """
        wait_s = self._limits.take(f"address:{address}", ATTEMPTS_PER_SECOND)
        wait_s = wait_s or self._limits.take(_ALL, ATTEMPTS_PER_SECOND_OF_ALL)
        if wait_s:
            raise PageFault(TOO_MANY_LOGINS, retry_after_s=max(1, round(wait_s)))
        answer = asyncio.create_task(asyncio.sleep(ANSWER_SECONDS))
        try:
            yield
        finally:
            await answer
