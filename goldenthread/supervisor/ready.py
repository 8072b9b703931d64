"""Asks an HTTP service whether it is ready."""

from typing import Final

import aiohttp

from goldenthread.supervisor.child_spec import ReadyCheck

_TIMEOUT_SECONDS: Final = 2.0


def answers(url: str) -> ReadyCheck:
    """A check that is true once the address answers 200."""

    async def ready() -> bool:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    return ready
