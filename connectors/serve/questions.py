"""What a request asks: its parameters and body, checked before anything is looked up.

A misspelled parameter is refused: without its `min_grade` a request would be answered with more than it meant to ask.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from aiohttp import web

from connectors.serve.finding import AskedIdentifier
from connectors.serve.timeline import CURSOR_LENGTH_MAX, PAGE_SIZE, PAGE_SIZE_MAX, Cursor
from connectors.web.problems import INVALID_BODY, INVALID_PARAMETER, FieldProblem, ProblemError
from schemas.identity_policy import Grade
from schemas.limits import IDENTIFIERS_MAX
from schemas.strict_json import UNREADABLE

GradeWord = Literal["claimed", "login", "record"]
CursorWord = Annotated[str, msgspec.Meta(min_length=1, max_length=CURSOR_LENGTH_MAX)]


class LookupQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/lookup`."""

    identifiers: Annotated[list[AskedIdentifier], msgspec.Meta(min_length=1, max_length=IDENTIFIERS_MAX)]
    #: Below it an identifier yields only its own fragment's document.
    min_grade: GradeWord = "claimed"


class IdentifierQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of a look-up by one identifier."""

    namespace: str | None = None
    realm: str | None = None
    min_grade: GradeWord = "claimed"


class PageQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of a page of interactions."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE
    cursor: CursorWord | None = None

    def decoded_cursor(self) -> Cursor | None:
        """Where the page begins.

        Raises:
            ProblemError: 400, it is no cursor of ours.
        """
        try:
            return None if self.cursor is None else Cursor.decoded(self.cursor)
        except ValueError:
            raise ProblemError(INVALID_PARAMETER, "The cursor is not one that an answer gave as `next`.") from None


class NoQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query without parameters."""


Shape = TypeVar("Shape")
_QUESTION: Final = msgspec.json.Decoder(LookupQuestion)
_PLACE: Final = re.compile(r" - at `(?:key in )?\$(.*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def read_query(request: web.Request, shape: type[Shape]) -> Shape:
    """The query as the shape has it.

    Raises:
        ProblemError: 400, naming the parameter.
    """
    query = request.rel_url.query
    if len(set(query)) != len(query):
        raise ProblemError(INVALID_PARAMETER, "A query parameter is given more than once.")
    return _converted(dict(query), shape)


def asked_in_path(request: web.Request, query: IdentifierQuestion) -> AskedIdentifier:
    """The identifier in the path and the query.

    Raises:
        ProblemError: 400, naming the parameter.
    """
    fields = {"kind": request.match_info["kind"], "value": request.match_info["value"]}
    named = {"namespace": query.namespace, "realm": query.realm}
    return _converted(fields | {name: text for name, text in named.items() if text is not None}, AskedIdentifier)


def read_question(body: bytes) -> tuple[Sequence[AskedIdentifier], Grade]:
    """The identifiers and the least grade that the body asks for.

    Raises:
        ProblemError: 400 with a pointer to what is wrong.
    """
    try:
        question = _QUESTION.decode(body)
    except UNREADABLE as error:
        message, pointer = _placed(error)
        raise ProblemError(
            INVALID_BODY, INVALID_BODY.meaning, errors=[FieldProblem(pointer, message, INVALID_BODY.code)]
        ) from None
    return question.identifiers, Grade.of(question.min_grade)


def _converted(fields: Mapping[str, Any], shape: type[Shape]) -> Shape:
    try:
        # Queries are texts, so numbers are read from them.
        return msgspec.convert(fields, shape, strict=False)
    except msgspec.ValidationError as error:
        message, pointer = _placed(error)
        name = pointer.removeprefix("/")
        raise ProblemError(INVALID_PARAMETER, f"{name}: {message}" if name else message) from None


def _placed(error: Exception) -> tuple[str, str]:
    """What is wrong, and where, as a JSON pointer."""
    text = str(error)
    found = _PLACE.search(text)
    if found is None:
        return text, ""
    steps = _STEP.findall(found[1])
    return text[: found.start()], "".join("/" + (name or index) for name, index in steps)
