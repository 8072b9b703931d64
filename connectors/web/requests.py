"""Reading a request within its bounds: the body, its content type and encoding, the request id."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import hdrs, web

from connectors.web.gunzip import BrokenGzip, Gunzip, TooMuch
from connectors.web.limits import BODY_FREE_BYTES, EXPANSION_FREE_BYTES, WebLimits
from connectors.web.problems import (
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    INVALID_ENCODING,
    MALFORMED_REQUEST,
    NOT_READY,
    OVERLOADED,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemError,
    retry_after,
)

REQUEST_ID_HEADER: Final = "X-Request-Id"
LIMITS: Final = web.AppKey("limits", WebLimits)
REQUEST_ID: Final = web.RequestKey("request_id", str)
# How soon a sender may come back whose body a stop cut off: by then another process may listen.
STOPPED_RETRY_SECONDS: Final = 5
# How soon a large body may come again for which there was no room.
CROWDED_RETRY_SECONDS: Final = 2
_REQUEST_ID_LENGTH_BYTES: Final = 16
# An id comes back in headers, bodies and logs, so nothing but harmless characters gets in.
_REQUEST_ID_SHAPE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def request_id_of(request: web.BaseRequest) -> str:
    """The client's own id when it is a harmless one, otherwise a new one."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    return given if given and _REQUEST_ID_SHAPE.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """One that no other request has."""
    return os.urandom(_REQUEST_ID_LENGTH_BYTES).hex()


def require_media_type(request: web.Request, media_types: tuple[str, ...], *, optional: bool = False) -> str:
    """The content type of the body, without parameters, in lower case; where it is optional and not said, the first.

    Raises:
        ProblemError: 415, when it is none of those or its charset is not UTF-8.
    """
    if optional and hdrs.CONTENT_TYPE not in request.headers:
        return media_types[0]
    media_type = request.content_type.lower()
    if hdrs.CONTENT_TYPE not in request.headers or media_type not in media_types:
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE,
            f"The body has to be {' or '.join(media_types)}.",
            headers={"Accept": ", ".join(media_types)},
        )
    charset = (request.charset or "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise ProblemError(UNSUPPORTED_MEDIA_TYPE, "The body has to be UTF-8.")
    return media_type


async def read_body(request: web.Request) -> bytes:
    """The whole body, decoded where it came encoded, within the service's limits.

    Raises:
        ProblemError: 415 for an encoding that is not known, 413 for a body past its limit as it came or decoded, 408
            for one past its time, 400 for a body that breaks off, is framed wrongly or is not encoded as it says, 503
            when the service stops meanwhile, or too many large bodies are arriving.
    """
    limits = request.app[LIMITS]
    bodies = request.app[BODIES]
    gunzip = _decoder(request, limits)
    if (request.content_length or 0) > limits.body_size_bytes:
        raise _too_large(limits)
    content = request.content
    # Most bodies are here with their heads. There is nothing to wait for then, and nothing that could be too slow.
    if gunzip is None and content.is_eof() and content.exception() is None:
        whole = content.read_nowait()
        if len(whole) > limits.body_size_bytes:
            raise _too_large(limits)
        return whole
    body = bytearray()
    try:
        async with bodies.deadline(limits.body_timeout_seconds):
            await _arrive(request, gunzip, into=body)
        return bytes(body)
    except TimeoutError:
        raise _unfinished(limits, bodies) from None
    except web.RequestPayloadError:
        raise ProblemError(
            MALFORMED_REQUEST, "The body broke off or is framed wrongly.", headers={hdrs.CONNECTION: "close"}
        ) from None
    except BrokenGzip as error:
        raise ProblemError(INVALID_ENCODING, f"The body is declared as gzip, and {error}.") from None
    except TooMuch as error:
        raise ProblemError(BODY_TOO_LARGE, f"Decoded, the body {error}.") from None
    finally:
        # The error of a connection that broke off leads to this frame, and is kept with the connection in a cycle.
        body.clear()


async def _arrive(request: web.Request, gunzip: Gunzip | None, *, into: bytearray) -> None:
    """Read all that is sent, decoded, holding no more than there is room for."""
    limits = request.app[LIMITS]
    bodies = request.app[BODIES]
    size_bytes = 0
    held_bytes = 0
    try:
        async for chunk in request.content.iter_any():
            size_bytes += len(chunk)
            if size_bytes > limits.body_size_bytes:
                raise _too_large(limits)
            if gunzip is None:
                into += chunk
            else:
                gunzip.feed(chunk, into)
            held_bytes = bodies.hold(held_bytes, len(into))
    finally:
        bodies.release(held_bytes)
    if gunzip is not None:
        gunzip.finish()


class BodiesUnderWay:
    """The bodies that are being read: what they hold is bounded; a stop gives them a moment and then cuts them off.

    Args:
        size_bytes_max: What they may hold together, past the free bytes of each.
    """

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        #: What they hold now, past the free bytes of each.
        self.held_bytes = 0
        self._timeouts: set[asyncio.Timeout] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()
        #: Nothing more will arrive on any connection.
        self.cut_off = False

    @property
    def number(self) -> int:
        """How many are being read."""
        return len(self._timeouts)

    @asynccontextmanager
    async def deadline(self, seconds: float) -> AsyncIterator[None]:
        """The body that is read within has so long.

        Raises:
            TimeoutError: it was not complete by then, or was cut off.
        """
        async with asyncio.timeout(0 if self.cut_off else seconds) as timeout:
            self._timeouts.add(timeout)
            self._none_left.clear()
            try:
                yield
            finally:
                self._timeouts.discard(timeout)
                if not self._timeouts:
                    self._none_left.set()

    def hold(self, held_bytes: int, size_bytes: int) -> int:
        """Count what a body holds that has grown.

        Args:
            held_bytes: What was counted of it before.
            size_bytes: What it has come to.

        Returns:
            What is counted of it now; to be given to `release` once it is read.

        Raises:
            ProblemError: 503, there is no room for it.
        """
        wanted_bytes = max(0, size_bytes - BODY_FREE_BYTES)
        if self.held_bytes - held_bytes + wanted_bytes > self._size_bytes_max:
            raise ProblemError(
                OVERLOADED,
                "Too many large bodies are arriving; nothing of this one was taken.",
                headers=retry_after(CROWDED_RETRY_SECONDS) | {hdrs.CONNECTION: "close"},
            )
        self.held_bytes += wanted_bytes - held_bytes
        return wanted_bytes

    def release(self, held_bytes: int) -> None:
        """A body is read, or ended otherwise."""
        self.held_bytes -= held_bytes

    async def finish(self, seconds: float) -> None:
        """Wait so long for bodies that are arriving, then cut off those that are left and all that come later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none_left.wait()
        self.cut_off = True
        for timeout in self._timeouts:
            if not timeout.expired():
                timeout.reschedule(asyncio.get_running_loop().time())


BODIES: Final = web.AppKey("bodies", BodiesUnderWay)


def _decoder(request: web.Request, limits: WebLimits) -> Gunzip | None:
    encoding = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, [])).strip().lower()
    if encoding in ("identity", ""):
        return None
    # The second name is how some old clients call it (RFC 9110, 8.4.1.3).
    if encoding not in ("gzip", "x-gzip"):
        raise ProblemError(
            UNSUPPORTED_ENCODING,
            "Bodies are taken as they are or encoded with gzip, once.",
            headers={hdrs.ACCEPT_ENCODING: "gzip, identity"},
        )
    return Gunzip(
        size_bytes_max=limits.body_size_bytes,
        ratio_max=limits.expansion_ratio_max,
        free_bytes=EXPANSION_FREE_BYTES,
    )


def _unfinished(limits: WebLimits, bodies: BodiesUnderWay) -> ProblemError:
    if bodies.cut_off:
        return ProblemError(
            NOT_READY,
            "The service stops, and the body was not complete; nothing of it was taken.",
            headers=retry_after(STOPPED_RETRY_SECONDS) | {hdrs.CONNECTION: "close"},
        )
    return ProblemError(
        BODY_TIMEOUT,
        f"The body was not complete after {limits.body_timeout_seconds:g} seconds.",
        headers={hdrs.CONNECTION: "close"},
    )


def _too_large(limits: WebLimits) -> ProblemError:
    return ProblemError(BODY_TOO_LARGE, f"The body has more than {limits.body_size_bytes} bytes.")
