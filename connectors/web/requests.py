"""Reading a request within its bounds: the body, its content type and encoding, the request id."""

import asyncio
import re
import uuid
from typing import Final

from aiohttp import hdrs, web

from connectors.web.limits import WebLimits
from connectors.web.problems import (
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    MALFORMED_REQUEST,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemError,
)

REQUEST_ID_HEADER: Final = "X-Request-Id"
LIMITS: Final = web.AppKey("limits", WebLimits)
REQUEST_ID: Final = web.RequestKey("request_id", str)
# An id comes back in headers, bodies and logs, so nothing but harmless characters gets in.
_REQUEST_ID_SHAPE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def request_id_of(request: web.BaseRequest) -> str:
    """The client's own id when it is a harmless one, otherwise a new one."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID_SHAPE.fullmatch(given) else uuid.uuid4().hex


def require_media_type(request: web.Request, media_types: tuple[str, ...]) -> str:
    """The content type of the body, without parameters, in lower case.

    Raises:
        ProblemError: 415, when it is none of those or its charset is not UTF-8.
    """
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
    """The whole body, within the service's limits.

    Raises:
        ProblemError: 415 for an encoding, 413 for a body past its limit, 408 for one past its time, 400 for a body
            that breaks off or is framed wrongly.
    """
    limits = request.app[LIMITS]
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise ProblemError(
            UNSUPPORTED_ENCODING, "Only unencoded bodies are taken.", headers={hdrs.ACCEPT_ENCODING: "identity"}
        )
    if (request.content_length or 0) > limits.body_size_bytes:
        raise _too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_timeout_seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limits.body_size_bytes:
                    raise _too_large(limits)
    except TimeoutError:
        raise ProblemError(
            BODY_TIMEOUT,
            f"The body was not complete after {limits.body_timeout_seconds:g} seconds.",
            headers={hdrs.CONNECTION: "close"},
        ) from None
    except web.RequestPayloadError:
        raise ProblemError(
            MALFORMED_REQUEST, "The body broke off or is framed wrongly.", headers={hdrs.CONNECTION: "close"}
        ) from None
    return bytes(body)


def _too_large(limits: WebLimits) -> ProblemError:
    return ProblemError(BODY_TOO_LARGE, f"The body has more than {limits.body_size_bytes} bytes.")
