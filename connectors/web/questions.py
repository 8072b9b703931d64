"""What a request asks: its parameters and its JSON body, checked before anything is looked up.

A misspelled parameter is refused: without it a request would be answered with something else than it meant to ask.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from connectors.web.problems import INVALID_BODY, INVALID_PARAMETER, FieldProblem, ProblemError
from schemas.strict_json import UNREADABLE

Shape = TypeVar("Shape")
_PLACE: Final = re.compile(r" - at `(?:key in )?\$(.*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class NoQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query without parameters."""


def read_query(request: web.Request, shape: type[Shape]) -> Shape:
    """The query as the shape has it.

    Raises:
        ProblemError: 400, naming the parameter.
    """
    query = request.rel_url.query
    if len(set(query)) != len(query):
        raise ProblemError(INVALID_PARAMETER, "A query parameter is given more than once.")
    return read_fields(dict(query), shape)


def read_fields(fields: Mapping[str, Any], shape: type[Shape]) -> Shape:
    """Parameters as the shape has them.

    Raises:
        ProblemError: 400, naming the parameter.
    """
    try:
        # Queries are texts, so numbers are read from them.
        return msgspec.convert(fields, shape, strict=False)
    except msgspec.ValidationError as error:
        message, pointer = _placed(error)
        name = pointer.removeprefix("/")
        raise ProblemError(INVALID_PARAMETER, f"{name}: {message}" if name else message) from None


def decode_body(body: bytes, decoder: "msgspec.json.Decoder[Shape]") -> Shape:
    """The body as the decoder's shape has it.

    Raises:
        ProblemError: 400 with a pointer to what is wrong.
    """
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        message, pointer = _placed(error)
        raise invalid_body(pointer, message) from None


def invalid_body(pointer: str, message: str) -> ProblemError:
    """400: what is wrong with a body, and where."""
    return ProblemError(INVALID_BODY, INVALID_BODY.meaning, errors=[FieldProblem(pointer, message, INVALID_BODY.code)])


def _placed(error: Exception) -> tuple[str, str]:
    """What is wrong, and where, as a JSON pointer."""
    text = str(error)
    found = _PLACE.search(text)
    if found is None:
        return text, ""
    steps = _STEP.findall(found[1])
    return text[: found.start()], "".join("/" + (name or index) for name, index in steps)
