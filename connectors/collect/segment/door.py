"""The door for the Segment API, lenient: good messages of a request are taken, bad ones set aside, and it succeeds.

A request takes these steps:
1. who, by a key in `Authorization`; and room, in the order that `delivery` says;
2. the body, and who, by the key in it: browsers can't show one elsewhere without asking first;
3. the messages in it, each mapped and judged as intake will;
4. delivery. Older SDKs retry whatever is no 200, and browsers all that is 500 or above, so the answer is
   `{"success": true}` once all is acknowledged, and 503 when it is not.
A body that holds no messages at all is refused: 400.
"""

from dataclasses import replace
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from connectors.collect.delivery import DELIVERY_KINDS, Delivery
from connectors.collect.event_problems import BATCH_TOO_LONG, EVENT_KINDS, event_problem
from connectors.collect.segment.acceptance import DEFAULT_SOURCE, Acceptance
from connectors.collect.segment.body import SegmentBody, read_batch, read_single
from connectors.collect.segment.calls import (
    BATCH_PATHS,
    CALL_PATHS,
    MEDIA_TYPES,
    METRICS_PATH,
    SETTINGS_PATH,
    batch_contents,
    call_contents,
)
from connectors.collect.segment.sdk_settings import sdk_settings
from connectors.web.access import IN_HANDLER, AccessRefused, Principal
from connectors.web.guard import ACCESS, admit, credential_of
from connectors.web.operations import Answer, Content, Handler, Operation, Parameter
from connectors.web.problems import ProblemError
from connectors.web.requests import read_body, require_media_type
from connectors.web.standard import json_response
from schemas.clock import Clock
from schemas.errors import DeadCode, EventError
from schemas.mapping import Arrival

#: What a body as a whole is refused for; a fault of one message sets that message aside.
_BODY_KINDS: Final = tuple(
    EVENT_KINDS[code]
    for code in (
        DeadCode.INVALID_UTF8,
        DeadCode.NESTING_TOO_DEEP,
        DeadCode.NOT_AN_OBJECT,
        DeadCode.NOT_JSON,
        DeadCode.NULL_BYTE,
    )
)
# Browsers' SDKs read how long to wait from this one alone.
_RATE_LIMIT_RESET: Final = "X-RateLimit-Reset"
_DESCRIPTION: Final = (
    "As Segment's SDKs do. Good messages are taken, bad ones go to the dead topic. The write key is the user name of "
    "basic authentication, a bearer token, or `writeKey` in the body. Sending a message again is safe: its source and "
    "`messageId` name it."
)


class SegmentAnswer(msgspec.Struct, frozen=True):
    """All is taken: what was good as events, what was not as dead letters."""

    success: bool


class SegmentDoor:
    """Takes what Segment's SDKs send.

    Args:
        acceptance: Makes events of messages.
        delivery: Shared by all doors.
        clock: Says when a message came that tells no time itself.
        batch_messages_max: Messages that one request may bring.
    """

    def __init__(self, acceptance: Acceptance, delivery: Delivery, *, clock: Clock, batch_messages_max: int) -> None:
        self._acceptance = acceptance
        self._delivery = delivery
        self._clock = clock
        self._batch_messages_max = batch_messages_max

    def operations(self) -> tuple[Operation, ...]:
        """Every call under each of its paths, and what SDKs ask for besides."""
        calls = [
            self._call(path, call, place) for call, paths in CALL_PATHS.items() for place, path in enumerate(paths)
        ]
        batches = [self._call(path, None, place) for place, path in enumerate(BATCH_PATHS)]
        # Some SDKs end their paths with a slash.
        slashed = [replace(each, path=f"{each.path}/", documented=False) for each in (*calls, *batches)]
        return (
            *calls,
            *batches,
            *slashed,
            Operation(
                "POST",
                METRICS_PATH,
                self._drop,
                "segmentMetrics",
                "Figures of an SDK about itself",
                {200: Answer("They are not kept.", (Content(SegmentAnswer),))},
                bodies=tuple(Content({}, media_type, {"series": []}) for media_type in MEDIA_TYPES),
                across_origins=True,
            ),
            Operation(
                "GET",
                SETTINGS_PATH,
                self._settings,
                "segmentSettings",
                "What an SDK asks for at its start",
                {200: Answer("Send everything to this service.", (Content(dict[str, Any]),))},
                parameters=(Parameter("write_key", "path", "The source's write key."),),
                access=IN_HANDLER,
                across_origins=True,
            ),
        )

    def _call(self, path: str, call: str | None, place: int) -> Operation:
        """An operation for messages; `place` is that of its path among those of the call."""
        name = "batch" if call is None else call
        names = ("", "Short", "Import")
        return Operation(
            "POST",
            path,
            self._handler(call),
            f"segment{name.capitalize()}{names[place]}",
            "Send many messages" if call is None else f"Send one message: {call}",
            {200: Answer("The broker has acknowledged every event and dead letter.", (Content(SegmentAnswer),))},
            description=_DESCRIPTION,
            bodies=batch_contents() if call is None else call_contents(call),
            problems=(*_BODY_KINDS, *((BATCH_TOO_LONG,) if call is None else ()), *DELIVERY_KINDS),
            access=IN_HANDLER,
            across_origins=True,
        )

    def _handler(self, call: str | None) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            return await self._take(request, call)

        return handle

    async def _take(self, request: web.Request, call: str | None) -> web.Response:
        # 1. Who, by a header; and room.
        principal = _admitted_by_header(request)
        with self._delivery.room(request) as room:
            # 2. Body, and who, by the key in it.
            require_media_type(request, MEDIA_TYPES, optional=True)
            raw = await read_body(request)
            room.take(len(raw))
            body = self._read(request, raw, call, principal)
            if principal is None:
                principal = _admitted(request, body.write_key)
            self._require_few(body)
            # 3. Messages.
            arrival = Arrival(self._clock.now_us())
            outcome = await self._acceptance.sort(body, call, principal.source or DEFAULT_SOURCE, arrival)
            # 4. Delivery.
            await self._delivery.deliver(outcome, room)
        return json_response(SegmentAnswer(success=True))

    def _read(self, request: web.Request, raw: bytes, call: str | None, principal: Principal | None) -> SegmentBody:
        try:
            return read_batch(raw) if call is None else read_single(raw)
        except EventError as error:
            if principal is None:
                _admitted(request, None)
            self._delivery.count(error.code.value, 1)
            raise event_problem(error) from error

    def _require_few(self, body: SegmentBody) -> None:
        size = len(body.messages)
        if size > self._batch_messages_max:
            self._delivery.count(BATCH_TOO_LONG.code, size)
            message = f"{size} messages, at most {self._batch_messages_max} are taken at once."
            raise ProblemError(BATCH_TOO_LONG, message)

    @staticmethod
    async def _drop(request: web.Request) -> web.Response:
        await read_body(request)
        return json_response(SegmentAnswer(success=True))

    @staticmethod
    async def _settings(request: web.Request) -> web.Response:
        write_key = request.match_info["write_key"]
        _admitted(request, write_key)
        response = json_response(sdk_settings(request, write_key))
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response


def _admitted_by_header(request: web.Request) -> Principal | None:
    """Who the key in `Authorization` lets in; None where the body has to say it."""
    if not request.app[ACCESS].enabled:
        # SDKs can't but send some key.
        return _admitted(request, None)
    credential = credential_of(request)
    return None if credential is None else _admitted(request, credential)


def _admitted(request: web.Request, credential: str | None) -> Principal:
    try:
        return admit(request, credential)
    except AccessRefused as refused:
        if hdrs.RETRY_AFTER in refused.headers:
            refused.headers[_RATE_LIMIT_RESET] = refused.headers[hdrs.RETRY_AFTER]
        raise
