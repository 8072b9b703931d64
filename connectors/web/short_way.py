"""The short way of a request: from what the parser read to the bytes of the answer, without aiohttp's machinery.

aiohttp makes up to two tasks and some forty objects for each request, and runs it through middlewares and signals; for
what takes microseconds otherwise that is most of what it costs. What is asked most often may go the short way instead:

- a plain GET whose answer is there without waiting (`SHORT_FIND`);
- a plain POST that came with its body and that is wanted as it is (`SHORT_TAKE`), whose answer may take its time.

Plain is what needs no key and asks for nothing in its headers. Whatever else a request is, and whatever a short way has
nothing for, goes the general way, and there the same request has the same answer to the byte, but for its own id and
the time (tests hold the two together).
"""

import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import structlog
from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from multidict import CIMultiDictProxy

from connectors.web.boundary import COMMON_HEADERS, METRICS, SERVICE_NAME, account
from connectors.web.cors import PLAIN_HEADERS, Headers
from connectors.web.guard import ACCESS, is_loopback_name
from connectors.web.problems import INTERNAL_ERROR, ProblemError, problem_response
from connectors.web.requests import LIMITS, REQUEST_ID_HEADER, new_request_id
from streams.logs import logger

_log = logger(__name__)

# A request with one of these asks for more than the resource, or has more than a body.
_MORE: Final = (
    hdrs.ORIGIN,
    hdrs.EXPECT,
    hdrs.IF_NONE_MATCH,
    hdrs.CONTENT_ENCODING,
    hdrs.TRANSFER_ENCODING,
    REQUEST_ID_HEADER,
)
_JSON: Final = ((hdrs.CONTENT_TYPE, "application/json"),)


class Reply(NamedTuple):
    """What there is to answer; a JSON body where the headers say nothing else. A problem has its own headers, too."""

    body: bytes | ProblemError
    #: Before those of every answer.
    headers: Headers = _JSON
    status: int = 200
    #: After those of every answer; one that was there already is replaced where it stands.
    last_headers: Headers = ()


#: From a path, as it was sent, to the template of its route and what is found there; None: the general way tells that.
Find = Callable[[str], tuple[str, Reply] | None]
#: From path, headers and body to the template and what becomes of it, which may raise `ProblemError`; None, with
#: nothing done: the general way's.
Take = Callable[[str, CIMultiDictProxy[str], bytes], tuple[str, Coroutine[Any, Any, Reply]] | None]
#: What an application answers the short way; without them all goes the general way.
SHORT_FIND: Final[web.AppKey[Find]] = web.AppKey("short_find")
SHORT_TAKE: Final[web.AppKey[Take]] = web.AppKey("short_take")


class ShortWay:
    """Answers what it can of the requests to one application."""

    def __init__(self, application: web.Application) -> None:
        self._find = application.get(SHORT_FIND)
        self._take = application.get(SHORT_TAKE)
        self._body_size_bytes = application[LIMITS].body_size_bytes
        self._access = application[ACCESS]
        self._shared = application.get(PLAIN_HEADERS, {})
        self._metrics = application[METRICS]
        self._service = application[SERVICE_NAME]

    def answer(self, message: RawRequestMessage, payload: StreamReader) -> bytes | Coroutine[Any, Any, bytes] | None:
        """The whole answer, counted and logged, now or in time; None where the request has to go the general way.

        A body is only looked at: it is still to be read, by whoever answers or by the general way.
        """
        method = message.method
        if self._access.enabled or not payload.is_eof() or not _is_plain(message):
            return None
        if method == hdrs.METH_GET and self._find is not None and payload is EMPTY_PAYLOAD:
            return self._found(self._find, message)
        if method == hdrs.METH_POST and self._take is not None and payload is not EMPTY_PAYLOAD:
            return self._taken(self._take, message, payload)
        return None

    def _found(self, find: Find, message: RawRequestMessage) -> bytes | None:
        started = time.perf_counter()
        try:
            found = find(message.path)
        except Exception:  # noqa: BLE001 - the general way meets it too, and tells it.
            return None
        if found is None:
            return None
        request_id = new_request_id()
        route, reply = found
        status, encoded = _encoded(reply, request_id, self._shared.get(route, ()))
        self._account(hdrs.METH_GET, route, status, started, request_id=request_id)
        return encoded

    def _taken(
        self, take: Take, message: RawRequestMessage, payload: StreamReader
    ) -> Coroutine[Any, Any, bytes] | None:
        started = time.perf_counter()
        body = b"".join(payload._buffer)  # noqa: SLF001 - aiohttp has no public way to put back what was read.
        if payload.exception() is not None or len(body) > self._body_size_bytes:
            return None
        try:
            taken = take(message.path, message.headers, body)
        except Exception:  # noqa: BLE001 - as above.
            return None
        if taken is None:
            return None
        return self._in_time(*taken, started)

    async def _in_time(self, route: str, replying: Coroutine[Any, Any, Reply], started: float) -> bytes:
        request_id = new_request_id()
        # It runs in a task of its own, which ends with it.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            reply = await replying
        except ProblemError as error:
            reply = Reply(error)
        except Exception as error:  # noqa: BLE001 - as in `boundary`.
            _log.exception("request failed", route=route, error=type(error).__name__)
            reply = Reply(ProblemError(INTERNAL_ERROR, INTERNAL_ERROR.meaning))
        status, encoded = _encoded(reply, request_id, self._shared.get(route, ()))
        self._account(hdrs.METH_POST, route, status, started)
        return encoded

    def _account(self, method: str, route: str, status: int, started: float, **known: str) -> None:
        seconds = time.perf_counter() - started
        account(
            self._metrics,
            self._service,
            method=method,
            route=route,
            status=status,
            seconds=seconds,
            is_plain=True,
            **known,
        )


def _is_plain(message: RawRequestMessage) -> bool:
    """Whether nothing is asked but what is at the path, by somebody who means this machine, on a connection to keep."""
    headers = message.headers
    return (
        message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and is_loopback_name(headers.get(hdrs.HOST))
        and not any(name in headers for name in _MORE)
    )


def _encoded(reply: Reply, request_id: str, shared_headers: Headers) -> tuple[int, bytes]:
    """The status, and the bytes of the whole answer."""
    body, headers, status, last_headers = reply
    if isinstance(body, ProblemError):
        response = problem_response(body, request_id)
        headers, status = tuple(response.headers.items()), response.status
        body = response.body if isinstance(response.body, bytes) else b""
    lines = dict(headers)
    lines[hdrs.CONTENT_LENGTH] = str(len(body))
    lines[hdrs.DATE] = rfc822_formatted_time()
    lines.update(COMMON_HEADERS)
    lines[REQUEST_ID_HEADER] = request_id
    lines.update(shared_headers)
    lines.update(last_headers)
    head = "\r\n".join([f"{name}: {value}" for name, value in lines.items()])
    return status, f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n\r\n".encode() + body
