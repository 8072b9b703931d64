"""Requests for explanations to answers over HTTP."""

import asyncio
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from connectors.serve.answers import Found, pointer_to
from connectors.serve.explaining.explanations import ChangingTooFast, Explanations
from connectors.serve.explaining.pairs import UnknownIdentifier
from connectors.serve.finding import Finder
from connectors.serve.handlers import Handlers, document_response
from connectors.serve.problems import CATCHING_UP, NOT_KNOWN, UNUSABLE_IDENTIFIER
from connectors.web.access import NOBODY, PRINCIPAL, Role
from connectors.web.problems import FieldProblem, ProblemError, ProblemKind, retry_after
from connectors.web.questions import NoQuestion, decode_body, read_query
from connectors.web.requests import read_body, require_media_type
from connectors.web.standard import READY_RETRY_SECONDS
from schemas.asked import AskedIdentifier

_JSON: Final = "application/json"
_ASKED_BY: Final = "explain"


class ExplainQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/explain`."""

    identifiers: Annotated[list[AskedIdentifier], msgspec.Meta(min_length=2, max_length=2)]


_QUESTION: Final = msgspec.json.Decoder(ExplainQuestion)


class ExplainHandlers:
    """The operations that explain.

    Args:
        explanations: Explains.
        finder: Reads identifiers.
        handlers: The other operations, with which they share what all have in common.
    """

    def __init__(self, explanations: Explanations, finder: Finder, handlers: Handlers) -> None:
        self._explanations = explanations
        self._finder = finder
        self._handlers = handlers

    async def pair(self, request: web.Request) -> web.Response:
        """`POST /v1/explain`."""
        require_media_type(request, (_JSON,))
        read_query(request, NoQuestion)
        asked = decode_body(await read_body(request), _QUESTION).identifiers
        await self._handlers.begin(request, _ASKED_BY)
        identifiers = [self._finder.identifier(one) for one in asked]
        unusable = [number for number, identifier in enumerate(identifiers) if identifier is None]
        if unusable:
            self._handlers.count(_ASKED_BY, "unusable")
            raise _at(UNUSABLE_IDENTIFIER, unusable)
        one, other = (self._finder.place_of(found).fragment for found in identifiers if found is not None)
        try:
            answer = await asyncio.to_thread(self._explanations.pair, one, other, words=shows_words(request))
        except UnknownIdentifier as unknown:
            self._handlers.count(_ASKED_BY, "unknown")
            raise _at(NOT_KNOWN, [unknown.number]) from None
        except ChangingTooFast as changing:
            raise self._again(changing) from None
        self._handlers.count(_ASKED_BY, "found")
        return web.Response(body=msgspec.json.encode(answer), content_type=_JSON)

    async def customer(self, request: web.Request) -> web.Response:
        """`GET /v1/customers/{customer}/explain`."""
        read_query(request, NoQuestion)
        await self._handlers.begin(request, _ASKED_BY)
        customer = request.match_info["customer"]
        found = self._handlers.answers.customer(customer)
        if not isinstance(found, Found):
            return self._handlers.elsewhere(found, request, _ASKED_BY, "explain")
        try:
            answer = await asyncio.to_thread(self._explanations.customer, customer, words=shows_words(request))
        except ChangingTooFast as changing:
            raise self._again(changing) from None
        self._handlers.count(_ASKED_BY, "found")
        return document_response(request, msgspec.json.encode(answer))

    async def trait(self, request: web.Request) -> web.Response:
        """`GET /v1/customers/{customer}/traits/{trait}/explain`."""
        read_query(request, NoQuestion)
        await self._handlers.begin(request, _ASKED_BY)
        customer, trait = request.match_info["customer"], request.match_info["trait"]
        found = self._handlers.answers.customer(customer)
        published = self._finder.context(customer)
        if not isinstance(found, Found) or published is None:
            leaf = f"traits/{quote(trait, safe='')}/explain"
            return self._handlers.elsewhere(found, request, _ASKED_BY, leaf)
        try:
            answer = await asyncio.to_thread(self._explanations.trait, published, trait)
        except ChangingTooFast as changing:
            raise self._again(changing) from None
        if answer is None:
            raise self._handlers.unknown(_ASKED_BY)
        self._handlers.count(_ASKED_BY, "found")
        return document_response(request, msgspec.json.encode(answer))

    def _again(self, changing: ChangingTooFast) -> ProblemError:
        self._handlers.count(_ASKED_BY, "catching_up")
        return ProblemError(CATCHING_UP, str(changing), headers=retry_after(READY_RETRY_SECONDS))


def shows_words(request: web.Request) -> bool:
    """Whether who asks may know who gave an order, and why: reasons are an operator's words about people."""
    return Role.ADMIN in request.get(PRINCIPAL, NOBODY).roles


def _at(kind: ProblemKind, numbers: list[int]) -> ProblemError:
    return ProblemError(
        kind, kind.meaning, errors=[FieldProblem(pointer_to(number), kind.title, kind.code) for number in numbers]
    )
