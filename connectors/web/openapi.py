"""The OpenAPI 3.1 document of a service, made of its table of operations; msgspec describes the types."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from connectors.web.access import IN_HANDLER, OPEN, Access
from connectors.web.operations import Answer, Content, Operation, Parameter, SchemaSource
from connectors.web.problems import (
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    FORBIDDEN,
    INTERNAL_ERROR,
    INVALID_ENCODING,
    MALFORMED_REQUEST,
    PROBLEM_TYPE,
    RATE_LIMITED,
    UNAUTHENTICATED,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
    WRONG_HOST,
    WRONG_ORIGIN,
    Problem,
    ProblemKind,
)

OPENAPI_VERSION: Final = "3.1.0"
_REF: Final = "#/components/schemas/{name}"
_ANY_REQUEST: Final = (MALFORMED_REQUEST, INTERNAL_ERROR)
_ANY_GUARDED: Final = (UNAUTHENTICATED, FORBIDDEN, WRONG_HOST, WRONG_ORIGIN, RATE_LIMITED)
_ANY_BODY: Final = (BODY_TIMEOUT, BODY_TOO_LARGE, INVALID_ENCODING, UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING)


#: Security schemes by name; the second only where the service takes it.
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of a fitting role, where any is configured.",
}
#: An alternative among requirements: none at all.
_NO_KEY: Final[dict[str, list[str]]] = {}
_BASIC: Final = {"type": "http", "scheme": "basic", "description": "The key as the user name; any password."}


def openapi_document(
    title: str, version: str, description: str, operations: Sequence[Operation], access: Access
) -> dict[str, Any]:
    """The document as plain JSON values; an operation of an open service may have a key, but needs none."""
    sources = [Problem, *(source for operation in operations for source in _sources(operation))]
    types = [source for source in sources if not isinstance(source, dict)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    described = dict(zip(map(_name, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    schemes = {"bearer": _BEARER} | ({"basic": _BASIC} if access.takes_basic else {})
    security: list[dict[str, list[str]]] = [{scheme: []} for scheme in schemes]
    if not access.enabled:
        security.append(_NO_KEY)
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, described, security)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": title,
            "version": version,
            "description": description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": schemes},
    }


def _name(source: SchemaSource) -> str:
    # Types such as `list[str]` are equal without being identical, and not all are hashable.
    return repr(source)


def _sources(operation: Operation) -> Iterable[SchemaSource]:
    yield from (parameter.schema for parameter in operation.parameters)
    yield from (content.schema for content in operation.bodies)
    yield from (content.schema for answer in operation.answers.values() for content in answer.contents)


def _schema(source: SchemaSource, described: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = source if isinstance(source, dict) else described[_name(source)]
    return schema


def _operation(operation: Operation, described: dict[str, Any], security: list[dict[str, list[str]]]) -> dict[str, Any]:
    document: dict[str, Any] = {"operationId": operation.operation_id, "summary": operation.summary}
    guarded = operation.access is not OPEN
    # A handler that looks for itself may take a key from elsewhere, so none of the schemes is a must.
    spared = operation.access is IN_HANDLER and _NO_KEY not in security
    document["security"] = [*security, *([_NO_KEY] if spared else [])] if guarded else []
    if operation.description:
        document["description"] = operation.description
    if operation.parameters:
        document["parameters"] = [_parameter(parameter, described) for parameter in operation.parameters]
    if operation.bodies:
        document["requestBody"] = {"required": True, "content": _contents(operation.bodies, described)}
    responses = {str(status): _answer(answer, described) for status, answer in operation.answers.items()}
    kinds = (
        *operation.problems,
        *(_ANY_GUARDED if guarded else ()),
        *(_ANY_BODY if operation.bodies else ()),
        *_ANY_REQUEST,
    )
    for status in sorted({kind.status for kind in kinds}):
        responses[str(status)] = _problems([kind for kind in kinds if kind.status == status], described)
    document["responses"] = responses
    return document


def _parameter(parameter: Parameter, described: dict[str, Any]) -> dict[str, Any]:
    document = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required or parameter.place == "path",
        "schema": _schema(parameter.schema, described),
    }
    return document if parameter.example is None else document | {"example": parameter.example}


def _contents(contents: tuple[Content, ...], described: dict[str, Any]) -> dict[str, Any]:
    document = {}
    for content in contents:
        media: dict[str, Any] = {"schema": _schema(content.schema, described)}
        if content.example is not None:
            media["example"] = content.example
        document[content.media_type] = media
    return document


def _answer(answer: Answer, described: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        document["headers"] = {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in answer.headers.items()
        }
    if answer.contents:
        document["content"] = _contents(answer.contents, described)
    return document


def _problems(kinds: list[ProblemKind], described: dict[str, Any]) -> dict[str, Any]:
    lines = dict.fromkeys(f"`{kind.code}`: {kind.meaning}" for kind in kinds)
    return {
        "description": "\n".join(lines),
        "content": {PROBLEM_TYPE: {"schema": _schema(Problem, described)}},
    }
