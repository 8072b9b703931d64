"""The short way of a request: from what the parser read to the bytes of the answer, in one step.

aiohttp makes a task and some forty objects for each request, and runs it through middlewares and signals; for an answer
that is found in microseconds that is most of what it costs. What is asked most often may be answered the short way
instead: a plain GET that needs no key, and whose answer is there without waiting. Whatever else a request is or asks,
and whatever a short way has no answer to, goes the general way, and there the same request has the same answer to the
byte, but for its own id and the time (tests hold the two together).
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11, RawRequestMessage

from connectors.web.boundary import COMMON_HEADERS, METRICS, SERVICE_NAME, account
from connectors.web.guard import ACCESS, is_loopback_name
from connectors.web.requests import REQUEST_ID_HEADER, new_request_id

# A request with one of these asks for more than the resource.
_MORE: Final = (
    hdrs.ORIGIN,
    hdrs.EXPECT,
    hdrs.IF_NONE_MATCH,
    hdrs.CONTENT_LENGTH,
    hdrs.TRANSFER_ENCODING,
    REQUEST_ID_HEADER,
)


class Reply(NamedTuple):
    """What is found: 200, with a JSON body."""

    #: The template of the path.
    route: str
    #: Before those of every answer.
    headers: tuple[tuple[str, str], ...]
    body: bytes
    #: After those of every answer.
    last_headers: tuple[tuple[str, str], ...] = ()


#: From a path, as it was sent, to what is found there; None where that is for the general way to tell.
Find = Callable[[str], Reply | None]
#: What an application answers the short way; without it, all goes the general way.
SHORT_WAY: Final[web.AppKey[Find]] = web.AppKey("short_way")


class ShortWay:
    """Answers what it can of the requests to one application."""

    def __init__(self, application: web.Application) -> None:
        self._find = application.get(SHORT_WAY)
        self._access = application[ACCESS]
        self._metrics = application[METRICS]
        self._service = application[SERVICE_NAME]

    def answer(self, message: RawRequestMessage) -> bytes | None:
        """The whole answer, counted and logged; None where the request has to go the general way."""
        if self._find is None or self._access.enabled or not _is_plain(message):
            return None
        started = time.perf_counter()
        try:
            reply = self._find(message.path)
        except Exception:  # noqa: BLE001 - the general way meets it too, and tells it.
            return None
        if reply is None:
            return None
        request_id = new_request_id()
        encoded = _encoded(reply, request_id)
        account(
            self._metrics,
            self._service,
            method=hdrs.METH_GET,
            route=reply.route,
            status=200,
            seconds=time.perf_counter() - started,
            request_id=request_id,
        )
        return encoded


def _is_plain(message: RawRequestMessage) -> bool:
    """Whether nothing is asked but what is at the path, by somebody who means this machine, on a connection to keep."""
    headers = message.headers
    return (
        message.method == hdrs.METH_GET
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade)
        and is_loopback_name(headers.get(hdrs.HOST))
        and not any(name in headers for name in _MORE)
    )


def _encoded(reply: Reply, request_id: str) -> bytes:
    headers = (
        *reply.headers,
        (hdrs.CONTENT_TYPE, "application/json"),
        (hdrs.CONTENT_LENGTH, str(len(reply.body))),
        (hdrs.DATE, rfc822_formatted_time()),
        *COMMON_HEADERS,
        (REQUEST_ID_HEADER, request_id),
        *reply.last_headers,
    )
    lines = "\r\n".join([f"{name}: {value}" for name, value in headers])
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n".encode("latin-1") + reply.body
