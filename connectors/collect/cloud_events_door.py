"""The door for CloudEvents: `POST /v1/events`, strict. A request is taken whole or not at all."""

from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDictProxy

from connectors.collect.cloud_events_http import MEDIA_TYPES, Mode, binary_attributes, mode_of
from connectors.collect.delivery import DELIVERY_KINDS, Delivery, Room
from connectors.collect.event_gate import AcceptedEvent, BatchRefused, BatchTooLong, EventGate
from connectors.collect.event_problems import (
    BATCH_REFUSED,
    BATCH_TOO_LONG,
    EVENT_KINDS,
    batch_refused,
    batch_too_long,
    event_problem,
)
from connectors.collect.event_schema import BATCH_CONTENT, BINARY_CONTENT, BINARY_PARAMETERS, STRUCTURED_CONTENT
from connectors.collect.sorting import Sorted
from connectors.web.access import PRINCIPAL, AccessRefused, require_own_sources
from connectors.web.operations import Answer, Content, Operation
from connectors.web.problems import WRONG_SOURCE
from connectors.web.requests import read_body, require_media_type
from connectors.web.short_way import Reply
from connectors.web.standard import json_response
from schemas.errors import EventError

PATH: Final = "/v1/events"
# How nearly every sender writes it.
_PLAIN_TYPES: Final = {f"{kind}{rest}": kind for kind in MEDIA_TYPES for rest in ("", "; charset=utf-8")}
#: Outcome of the good events of a batch that was refused for others.
REFUSED_WITH_BATCH: Final = "refused_with_batch"


class EventsAnswer(msgspec.Struct, frozen=True):
    """How many events the broker has acknowledged: all of the request's."""

    accepted: int


class CloudEventsDoor:
    """Takes CloudEvents through the gate."""

    def __init__(self, gate: EventGate, delivery: Delivery) -> None:
        self._gate = gate
        self._delivery = delivery

    def operations(self) -> tuple[Operation, ...]:
        """`POST /v1/events`."""
        return (
            Operation(
                "POST",
                PATH,
                self._events,
                "sendEvents",
                "Send events",
                {202: Answer("The broker has acknowledged every event.", (Content(EventsAnswer),))},
                description="CloudEvents 1.0 in structured, batch or binary mode (`ce-` headers and a JSON body). A "
                "batch is taken whole or not at all. Sending an event again is safe: `source` and `id` name it.",
                parameters=BINARY_PARAMETERS,
                bodies=(STRUCTURED_CONTENT, BATCH_CONTENT, BINARY_CONTENT),
                problems=(*EVENT_KINDS.values(), BATCH_REFUSED, BATCH_TOO_LONG, WRONG_SOURCE, *DELIVERY_KINDS),
                across_origins=True,
            ),
        )

    async def _events(self, request: web.Request) -> web.Response:
        # 1. Room.
        with self._delivery.room(request) as room:
            # 2. Body, then every event judged as intake will judge it; one that is refused refuses the request.
            media_type = require_media_type(request, MEDIA_TYPES)
            body = await read_body(request)
            room.take(len(body))
            mode = mode_of(media_type, request.headers, body)
            accepted = self._judge(mode, request, body)
            self._require_own(request, mode, accepted)
            # 3. Delivery.
            await self._delivery.deliver(Sorted(accepted), room)
        return json_response(EventsAnswer(len(accepted)), status=202)

    def take(
        self, path: str, headers: CIMultiDictProxy[str], body: bytes
    ) -> tuple[str, Coroutine[Any, Any, Reply]] | None:
        """`POST /v1/events` the short way, for events that may be written as they are.

        The steps are the same; whatever one of them refuses is refused by the general way, in full.
        """
        media_type = _PLAIN_TYPES.get(headers.get(hdrs.CONTENT_TYPE, ""))
        if path != PATH or media_type is None:
            return None
        # 1. Room.
        room = self._delivery.room_for(len(body))
        if room is None:
            return None
        # 2. Every event judged.
        try:
            accepted = self._gate_of(mode_of(media_type, headers, body), body)
        except (EventError, BatchTooLong, BatchRefused):
            accepted = []
        if not accepted:
            room.release()
            return None
        return PATH, self._delivered(accepted, room)

    def _gate_of(self, mode: Mode, body: bytes) -> list[AcceptedEvent]:
        match mode:
            case Mode.STRUCTURED:
                return [self._gate.structured(body)]
            case Mode.BATCH:
                return self._gate.batch(body)
            case Mode.BINARY:
                return []

    async def _delivered(self, accepted: list[AcceptedEvent], room: Room) -> Reply:
        # 3. Delivery.
        await self._delivery.deliver(Sorted(accepted), room)
        return Reply(msgspec.json.encode(EventsAnswer(len(accepted))), status=202)

    def _require_own(self, request: web.Request, mode: Mode, accepted: list[AcceptedEvent]) -> None:
        pointer = "/{}/source" if mode is Mode.BATCH else "/source"
        sources = {pointer.format(place): event.source for place, event in enumerate(accepted)}
        try:
            require_own_sources(request[PRINCIPAL], sources)
        except AccessRefused:
            self._delivery.count(WRONG_SOURCE.code, len(accepted))
            raise

    def _judge(self, mode: Mode, request: web.Request, body: bytes) -> list[AcceptedEvent]:
        count = self._delivery.count
        try:
            match mode:
                case Mode.STRUCTURED:
                    return [self._gate.structured(body)]
                case Mode.BINARY:
                    return [self._gate.binary(binary_attributes(request.headers), body)]
                case Mode.BATCH:
                    return self._gate.batch(body)
        except EventError as error:
            count(error.code.value, 1)
            raise event_problem(error) from error
        except BatchTooLong as refused:
            count(BATCH_TOO_LONG.code, refused.size)
            raise batch_too_long(refused) from refused
        except BatchRefused as refused:
            for code, number in Counter(error.code.value for error in refused.errors).items():
                count(code, number)
            count(REFUSED_WITH_BATCH, refused.size - len(refused.errors))
            raise batch_refused(refused) from refused
