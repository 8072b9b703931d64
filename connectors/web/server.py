"""The listening socket of a service, from its start to a graceful stop."""

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage

from connectors.web.boundary import SERVER_NAME, SERVICE_NAME
from connectors.web.limits import WebLimits
from connectors.web.problems import (
    INTERNAL_ERROR,
    MALFORMED_REQUEST,
    ProblemError,
    from_http_exception,
    problem_response,
)
from connectors.web.requests import BODIES, LIMITS, REQUEST_ID_HEADER, request_id_of
from connectors.web.short_way import ShortWay
from schemas.errors import SettingError
from streams.logs import logger

# Connections that the kernel holds until they are accepted.
BACKLOG: Final = 256
_log = logger(__name__)


class _Connection(web.RequestHandler):
    """aiohttp's connection, with problems for what never reaches the application, and bounds.

    A head that never ends holds a connection for as long as an idle one may last, so it has a deadline of its own.
    """

    def __init__(self, server: web.Server, limits: WebLimits, short_way: ShortWay, **arguments: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **arguments)
        self._server = server
        self._short_way = short_way
        self._connections_max = limits.connections_max
        self._head_timeout_seconds = limits.head_timeout_seconds
        self._answer_timeout_seconds = limits.answer_timeout_seconds
        self._head_deadline: asyncio.TimerHandle | None = None
        # The request that goes the short way and has no answer yet.
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._server.connections) >= self._connections_max and not self._make_place():
            _log.warning("connection refused", reason="too many connections", connections_max=self._connections_max)
            transport.close()
            return
        super().connection_made(transport)
        self._bound_answers(transport)
        self._expect_head()

    def _make_place(self) -> bool:
        """Closes the oldest connection on which nothing is asked, so that those who ask nothing keep nobody out."""
        idle = [each for each in self._server.connections if isinstance(each, _Connection) and each.is_idle()]
        if not idle:
            return False
        _log.info("connection closed", reason="its place is wanted", connections_max=self._connections_max)
        # One that has been answered before belongs to somebody who asks now and then.
        next((each for each in idle if not each.has_asked), idle[0]).force_close()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        heads = self._request_count
        waiter = self._waiter
        # The task that serves the general way is not woken before it is known that there is something for it.
        self._waiter = None
        super().data_received(data)
        self._waiter = waiter
        if self.is_idle():
            self._serve_next()
        if self._request_count > heads:
            self._head_came()
        elif self.is_idle() and self._head_deadline is None:
            self._expect_head()

    def _serve_next(self) -> None:
        """Serve what has come, the short way or by the task of the general one; called while idle."""
        if self._messages and not self._goes_short_way() and self._waiter is not None:
            self._waiter.set_result(None)

    def _goes_short_way(self) -> bool:
        """Answer what has come, now or in time, if it is one request alone that can go the short way."""
        message, payload = self._messages[0]
        if len(self._messages) > 1 or not isinstance(message, RawRequestMessage):
            return False
        # A peer that takes no answers has to wait for its next one, as the general way lets it.
        if self.transport is None or self._parser is None or self._paused:
            return False
        answer = self._short_way.answer(message, payload)
        if answer is None:
            return False
        self._messages.clear()
        self._parser.message_consumed()
        self._server.requests_count += 1
        if isinstance(answer, bytes):
            self._write_answer(answer)
        else:
            # What a stop waits for.
            self._request_in_progress = True
            self._answering = self._loop.create_task(self._answer_in_time(answer))
            # Reading the body goes on with what came behind it, which has to wait its turn.
            payload.read_nowait()
        return True

    def _write_answer(self, answer: bytes) -> None:
        if self.transport is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            self.transport.write(answer)

    async def _answer_in_time(self, answer: Coroutine[Any, Any, bytes]) -> None:
        try:
            self._write_answer(await answer)
        finally:
            self._answering = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
            if self.is_idle():
                self._serve_next()
            elif self._close and self.transport is not None:
                self.transport.close()

    def _bound_answers(self, transport: asyncio.BaseTransport) -> None:
        """The system closes a connection whose peer reads nothing; where it can't, such a peer holds it."""
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            timeout_ms = round(self._answer_timeout_seconds * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)

    @property
    def has_asked(self) -> bool:
        """Whether a whole request has come on it."""
        return self._request_count > 0

    def is_idle(self) -> bool:
        """Nothing is answered at the moment: what arrives belongs to the head of the next request."""
        return self._waiter is not None and not self._waiter.done() and self._answering is None

    def _expect_head(self) -> None:
        self._head_deadline = asyncio.get_running_loop().call_later(self._head_timeout_seconds, self._head_is_late)

    def _head_came(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _head_is_late(self) -> None:
        self._head_deadline = None
        if self.is_idle():
            _log.info("connection closed", reason="no whole request in time", seconds=self._head_timeout_seconds)
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what was sent, which may be personal.
    ) -> web.StreamResponse:
        """What the parser refused, or what went wrong outside of the application; the connection ends with it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun; the connection is closed")
        if isinstance(exc, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            raise ConnectionError("nobody is there who could be answered") from exc
        if status < 500:
            problem = ProblemError(MALFORMED_REQUEST, MALFORMED_REQUEST.meaning, status=status)
            _log.info("request refused", status=status, error=type(exc).__name__)
        else:
            problem = ProblemError(INTERNAL_ERROR, INTERNAL_ERROR.meaning)
            _log.error("request failed outside of its handler", exc_info=exc)
        response = _outer_response(problem, request)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Turns what aiohttp raised outside of the application into a problem; all else passes."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = _outer_response(from_http_exception(resp), request)
        return await super().finish_response(request, resp, start_time)


def _outer_response(problem: ProblemError, request: web.BaseRequest) -> web.Response:
    request_id = request_id_of(request)
    response = problem_response(problem, request_id)
    response.headers[REQUEST_ID_HEADER] = request_id
    response.headers[hdrs.SERVER] = SERVER_NAME
    return response


@asynccontextmanager
async def listening(
    application: web.Application, host: str, port: int, *, setting_name: str = "port"
) -> AsyncIterator[tuple[str, int]]:
    """The application answers on the address while the context is open; gives host and port, 0 having become real.

    Leaving it: no new connections, then bodies that are arriving have a moment, then idle connections are closed, then
    requests under way end, then the application's own clean-up runs.

    Raises:
        SettingError: the address can't be listened on; the message names the setting.
    """
    limits = application[LIMITS]
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=limits.shutdown_seconds)
    await runner.setup()
    server = runner.server
    if server is None:
        raise RuntimeError("aiohttp's runner has no server after its setup")
    try:
        try:
            made = _connections(server, limits, ShortWay(application))
            listener = await loop.create_server(made, host, port, backlog=BACKLOG)
        except (OSError, OverflowError) as error:
            raise SettingError(_address_fault(error, host, port, setting_name)) from error
        try:
            address = listener.sockets[0].getsockname()
            yield address[0], address[1]
        finally:
            listener.close()
            await application[BODIES].finish(limits.shutdown_body_seconds)
    finally:
        await runner.cleanup()


def _connections(server: web.Server, limits: WebLimits, short_way: ShortWay) -> Callable[[], asyncio.Protocol]:
    def connection() -> asyncio.Protocol:
        return _Connection(
            server,
            limits,
            short_way,
            access_log=None,
            keepalive_timeout=limits.keepalive_seconds,
            max_line_size=limits.line_size_bytes,
            max_field_size=limits.line_size_bytes,
            max_headers=limits.headers_max,
            lingering_time=limits.lingering_seconds,
            # A service that takes encoded bodies decodes them itself, within its bounds.
            auto_decompress=False,
        )

    return connection


def _address_fault(error: OSError | OverflowError, host: str, port: int, setting_name: str) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is in use; stop what listens there, or set {setting_name} to another port"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, socket.gaierror):
        return f"{host!r} is no address of this machine ({reason}); correct the host beside {setting_name}"
    return f"can't listen on {host}:{port} ({reason}); correct {setting_name} or its host"


async def serve(
    application: web.Application,
    host: str,
    port: int,
    *,
    setting_name: str,
    on_listening: Callable[[str, int], None] | None = None,
    alongside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
) -> None:
    """Answer until SIGTERM, SIGINT, cancellation or the end of something that runs alongside, then stop gracefully.

    Args:
        application: Made by `make_service`.
        host: Address or name to listen on.
        port: Port, 0 for any free one.
        setting_name: The setting that an error about the port names.
        on_listening: Told the real address once requests are answered.
        alongside: Run while the service answers. The first that ends stops it; its error is raised here.

    Raises:
        SettingError: the address can't be listened on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        async with listening(application, host, port, setting_name=setting_name) as (bound_host, bound_port):
            _log.info("listening", service=application[SERVICE_NAME], host=bound_host, port=bound_port)
            if on_listening is not None:
                on_listening(bound_host, bound_port)
            await _until_first([stop.wait, *alongside])
            _log.info("stopping", service=application[SERVICE_NAME])
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _until_first(functions: Sequence[Callable[[], Coroutine[Any, Any, Any]]]) -> None:
    tasks = [asyncio.ensure_future(function()) for function in functions]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
