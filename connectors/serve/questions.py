"""What a request asks: its parameters and body, checked before anything is looked up."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web

from connectors.serve.timeline import CURSOR_LENGTH_MAX, PAGE_SIZE, PAGE_SIZE_MAX, Cursor
from connectors.web.problems import INVALID_PARAMETER, ProblemError
from connectors.web.questions import decode_body, read_fields
from schemas.asked import AskedIdentifier
from schemas.identity_policy import Grade
from schemas.limits import IDENTIFIERS_MAX

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


_QUESTION: Final = msgspec.json.Decoder(LookupQuestion)


def asked_in_path(request: web.Request, query: IdentifierQuestion) -> AskedIdentifier:
    """The identifier in the path and the query.

    Raises:
        ProblemError: 400, naming the parameter.
    """
    fields = {"kind": request.match_info["kind"], "value": request.match_info["value"]}
    named = {"namespace": query.namespace, "realm": query.realm}
    return read_fields(fields | {name: text for name, text in named.items() if text is not None}, AskedIdentifier)


def read_question(body: bytes) -> tuple[Sequence[AskedIdentifier], Grade]:
    """The identifiers and the least grade that the body asks for.

    Raises:
        ProblemError: 400 with a pointer to what is wrong.
    """
    question = decode_body(body, _QUESTION)
    return question.identifiers, Grade.of(question.min_grade)
