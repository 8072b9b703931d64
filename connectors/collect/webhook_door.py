"""The door for webhooks: `POST /v1/hooks/{source}`, lenient. What a tool posts becomes events by its source's mapping.

A request takes these steps:
1. who: the source's signature where one is registered, otherwise a key, in `Authorization` or, for tools that can be
   given nothing but an address, in the query parameter `key`. Logs hold no queries. Strangers get one answer for all
   sources, registered or not; which header lacks its signature is for those who show a key of the source;
2. room and body, in the order that `delivery` says; a signature needs the body first;
3. a challenge of a tool that verifies the address is answered, and nothing is taken;
4. the records in the body, each mapped and judged as intake will: good ones are events, bad ones are set aside with
   their bytes and what is needed to read them again, and what the mapping leaves out is counted;
5. delivery, and the counts as the answer.
A body that is no JSON and no form is refused: there is no record in it that could be set aside.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from connectors.collect.delivery import DELIVERY_KINDS, Delivery
from connectors.collect.event_gate import AcceptedEvent, EventGate
from connectors.collect.event_problems import BATCH_TOO_LONG, EVENT_KINDS, event_problem
from connectors.collect.mapped_events import mapped_event
from connectors.collect.sorting import SetAside, Sorted, sort
from connectors.collect.webhook_request import described_request, header_texts, kept_request
from connectors.web.access import (
    IN_HANDLER,
    PRINCIPAL,
    AccessRefused,
    Principal,
    Refusal,
    Role,
    require_own_sources,
)
from connectors.web.guard import ACCESS, admit, credential_of
from connectors.web.operations import Answer, Content, Operation, Parameter
from connectors.web.problems import (
    FORBIDDEN,
    RATE_LIMITED,
    UNAUTHENTICATED,
    UNSUPPORTED_MEDIA_TYPE,
    WRONG_SOURCE,
    ProblemError,
    ProblemKind,
)
from connectors.web.requests import read_body
from connectors.web.standard import json_response
from schemas.clock import Clock
from schemas.errors import DeadCode, EventError
from schemas.event import CONTENT_TYPE_HEADER
from schemas.mapping import Arrival, MappingSet
from schemas.mapping import Mapping as RecordMapping
from schemas.mapping_records import RECORDS_MAX, BodyRecord, BodyUnreadable, TooManyRecords
from schemas.media_types import FORM_TYPE, JSON_LINES_TYPE, JSON_TYPE
from schemas.signatures import SignatureCheck
from schemas.topics import PICKED_HEADER, REQUEST_HEADER, SOURCE_HEADER, Header

PATH: Final = "/v1/hooks/{source}"
#: Query parameters that may hold the key: the second is how Meta's platforms prove themselves when they verify.
KEY_PARAMETERS: Final = ("key", "hub.verify_token")
NO_SUCH_WEBHOOK: Final = ProblemKind(
    "no_such_hook",
    404,
    "No such webhook",
    "No source of this name is registered with a mapping. Register it in sources.yaml, or correct the address.",
)
#: What everybody is told who proves nothing, whatever source is asked for.
WHO: Final = (
    "A key that is known and has not expired is needed, or, where the source's webhooks are signed, a right signature "
    "in the header that its registration names."
)
# A longer one is no challenge of any tool, and would make this service repeat what it is told.
_CHALLENGE_LENGTH_MAX: Final = 1024
_PROBLEMS: Final = (NO_SUCH_WEBHOOK, UNAUTHENTICATED, FORBIDDEN, WRONG_SOURCE, RATE_LIMITED)
_ANYTHING: Final[dict[str, Any]] = {
    "description": "What the tool posts: objects, one or many. Anything else becomes a dead letter."
}
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The fields of the form.",
    "minProperties": 1,
    "additionalProperties": {"type": "string"},
}
_BODIES: Final = (
    Content(_ANYTHING, JSON_TYPE, {"id": "1", "what": "sent"}),
    Content(_FORM, FORM_TYPE),
    Content({"type": "string", "description": "One JSON object a line."}, JSON_LINES_TYPE),
)
_PARAMETERS: Final = (
    Parameter("source", "path", "The source's name in sources.yaml.", example="chat-tool"),
    Parameter("key", "query", "The source's write key, where the tool can't send it as a header."),
)


class WebhookAnswer(msgspec.Struct, frozen=True):
    """What became of the records of a request."""

    #: Events that the broker has acknowledged.
    accepted: int
    #: Records that lie in the dead topic now, each with its reason.
    dead: int
    #: Records that the mapping leaves out on purpose.
    skipped: int


class WebhookDoor:
    """Takes what tools post.

    Args:
        gate: Judges the events.
        delivery: Shared by all doors.
        mappings: Of the sources that have one.
        signatures: Checks of the sources whose requests are signed.
        clock: Says when a request came.
        records_max: Records that one body may hold.
    """

    def __init__(
        self,
        gate: EventGate,
        delivery: Delivery,
        *,
        mappings: MappingSet,
        signatures: Mapping[str, SignatureCheck],
        clock: Clock,
        records_max: int = RECORDS_MAX,
    ) -> None:
        self._gate = gate
        self._delivery = delivery
        self._mappings = mappings
        self._signatures = signatures
        self._clock = clock
        self._records_max = records_max

    def operations(self) -> tuple[Operation, ...]:
        """`POST` for what happens, `GET` for tools that verify the address."""
        text = {"type": "string", "description": "The challenge."}
        return (
            Operation(
                "POST",
                PATH,
                self._post,
                "sendWebhook",
                "Send what a tool posts",
                {
                    202: Answer("The broker has acknowledged every event and dead letter.", (Content(WebhookAnswer),)),
                    200: Answer("A challenge is answered; nothing is taken.", (Content(text, "text/plain"),)),
                },
                description="JSON, an array, JSON lines or a form, in the shape that the source's mapping knows. Good "
                "records are taken, bad ones go to the dead topic. Sending a request again is safe.",
                parameters=_PARAMETERS,
                bodies=_BODIES,
                problems=(
                    *_PROBLEMS,
                    *(EVENT_KINDS[code] for code in (DeadCode.NOT_JSON, DeadCode.INVALID_UTF8)),
                    BATCH_TOO_LONG,
                    *DELIVERY_KINDS,
                ),
                access=IN_HANDLER,
            ),
            Operation(
                "GET",
                PATH,
                self._get,
                "verifyWebhook",
                "Verify the address of a webhook",
                {200: Answer("The challenge where the request has one.", (Content(text, "text/plain"),))},
                description="For tools that ask before they post. The key may come as `hub.verify_token` too.",
                parameters=(*_PARAMETERS, Parameter("hub.verify_token", "query", "The key, as some tools call it.")),
                problems=_PROBLEMS,
                access=IN_HANDLER,
            ),
        )

    async def _get(self, request: web.Request) -> web.Response:
        source = request.match_info["source"]
        self._admit_by_key(request, source)
        mapping = self._mapping(source)
        return _text(self._challenge(mapping, {}, described_request(request, KEY_PARAMETERS)) or "")

    async def _post(self, request: web.Request) -> web.Response:
        source = request.match_info["source"]
        # 1. Who, by a key.
        signature = self._signatures.get(source)
        if signature is None:
            self._admit_by_key(request, source)
            self._mapping(source)
        # 2. Room and body.
        with self._delivery.room(request) as room:
            if request.content_type.startswith("multipart/"):
                raise ProblemError(UNSUPPORTED_MEDIA_TYPE, "JSON and urlencoded forms are taken, no multipart ones.")
            body = await read_body(request)
            room.take(len(body))
            #    Who, by a signature.
            if signature is not None:
                self._admit_by_signature(request, source, signature, body)
            mapping = self._mapping(source)
            concealed = () if signature is None else (signature.header,)
            described = described_request(request, KEY_PARAMETERS, concealed)
            content_type = request.headers.get(hdrs.CONTENT_TYPE, "")
            # 3. A challenge.
            if mapping.has_challenge:
                whole = self._records(mapping, body, content_type, whole=True)
                if len(whole) == 1 and (challenge := self._challenge(mapping, whole[0].fields, described)):
                    return _text(challenge)
            # 4. Records.
            records = self._records(mapping, body, content_type)
            outcome = await self._sort(source, mapping, records, described)
            # 5. Delivery.
            await self._delivery.deliver(outcome, room)
        answer = WebhookAnswer(len(outcome.accepted), len(outcome.aside), outcome.skipped)
        return json_response(answer, status=202)

    def _mapping(self, source: str) -> RecordMapping:
        mapping = self._mappings.for_source(source)
        if mapping is None:
            raise ProblemError(NO_SUCH_WEBHOOK, NO_SUCH_WEBHOOK.meaning)
        return mapping

    @staticmethod
    def _admit_by_key(request: web.Request, source: str) -> None:
        try:
            principal = admit(request, _credential(request))
        except AccessRefused as refused:
            if refused.kind is not UNAUTHENTICATED:
                raise
            raise request.app[ACCESS].unauthenticated(refused.reason, refused.key_name, WHO) from None
        require_own_sources(principal, {"": source})

    @staticmethod
    def _admit_by_signature(request: web.Request, source: str, signature: SignatureCheck, body: bytes) -> None:
        access = request.app[ACCESS]
        if not signature.matches(header_texts(request), body):
            missing = signature.header not in request.headers
            detail = WHO
            if _is_known(request, source):
                fault = "missing" if missing else "wrong"
                detail = (
                    f"The signature in the header {signature.header} is {fault}; the webhooks of this source are "
                    "signed, and a key alone is not enough."
                )
            raise access.unauthenticated(Refusal.MISSING if missing else Refusal.UNKNOWN, source, detail)
        # Only what is the source's own counts: nobody else can use its requests up.
        access.count_signed(source, signature.requests_per_second)
        request[PRINCIPAL] = Principal(source, frozenset({Role.COLLECT}), source)

    @staticmethod
    def _challenge(mapping: RecordMapping, fields: Any, described: dict[str, Any]) -> str | None:
        try:
            challenge = mapping.challenge(fields, described)
        except EventError:
            # It is no request that verifies an address, or not one that this mapping knows.
            return None
        return None if challenge is None or len(challenge) > _CHALLENGE_LENGTH_MAX else challenge

    def _records(
        self, mapping: RecordMapping, body: bytes, content_type: str, *, whole: bool = False
    ) -> list[BodyRecord]:
        try:
            return mapping.body_records(body, content_type, whole=whole, records_max=self._records_max)
        except BodyUnreadable as error:
            self._delivery.count(error.code.value, 1)
            raise event_problem(error) from error
        except TooManyRecords as error:
            self._delivery.count(BATCH_TOO_LONG.code, error.size)
            raise ProblemError(BATCH_TOO_LONG, f"{error.message}.") from error

    async def _sort(
        self, source: str, mapping: RecordMapping, records: list[BodyRecord], described: dict[str, Any]
    ) -> Sorted:
        arrival = Arrival(self._clock.now_us(), described)
        noted = kept_request(described, mapping.request_reads)

        def judge(record: BodyRecord) -> AcceptedEvent | None:
            return mapped_event(self._gate, mapping, record, arrival)

        def set_aside(record: BodyRecord, error: EventError) -> SetAside:
            return SetAside(error, record.original, f"hook:{source}", _headers(source, record, noted))

        return await sort(records, judge, set_aside)


def _credential(request: web.Request) -> str | None:
    if not request.app[ACCESS].enabled:
        return None
    # What stands in the address was put there for us; an Authorization may be the tool's own.
    given = (request.query.get(name) for name in KEY_PARAMETERS)
    return next((key for key in given if key), None) or credential_of(request)


def _is_known(request: web.Request, source: str) -> bool:
    """Whether whoever asks may know how the source is registered: with a key for it, or where no key is configured."""
    try:
        principal = request.app[ACCESS].admit(_credential(request), frozenset({Role.COLLECT}))
    except AccessRefused:
        return False
    return principal.source in (None, source)


def _headers(source: str, record: BodyRecord, noted: bytes | None) -> tuple[Header, ...]:
    """What intake needs to read the record as it would have been read here, once it is sent again."""
    headers = [(SOURCE_HEADER, source.encode()), (CONTENT_TYPE_HEADER, record.media_type.encode())]
    if record.picked:
        headers.append((PICKED_HEADER, b"true"))
    if noted is not None:
        headers.append((REQUEST_HEADER, noted))
    return tuple(headers)


def _text(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/plain", headers={hdrs.CACHE_CONTROL: "no-store"})
