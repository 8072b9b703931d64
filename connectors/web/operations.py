"""How a service declares what it answers: one table, from which come the routes and the OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from connectors.web.access import Admission
from connectors.web.problems import ProblemKind

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: A type that msgspec describes, or a JSON Schema as it stands.
SchemaSource = Any


@dataclass(frozen=True)
class Parameter:
    """One parameter of a path, a query or a header."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: SchemaSource = str
    #: Path parameters always are.
    required: bool = False
    example: Any = None


@dataclass(frozen=True)
class Content:
    """One representation of a body."""

    schema: SchemaSource
    media_type: str = "application/json"
    example: Any = None


@dataclass(frozen=True)
class Answer:
    """One answer that is no problem."""

    description: str
    contents: tuple[Content, ...] = ()
    #: Names to what they say.
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One method of one path. `path` is a template such as `/v1/customers/{customer}/context`."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    operation_id: str
    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    #: Representations of the request's body, one of which has to be sent; none when it has no body.
    bodies: tuple[Content, ...] = ()
    #: Problems of its own, besides those that any request may meet.
    problems: tuple[ProblemKind, ...] = ()
    #: Roles of which one is needed, OPEN or IN_HANDLER; None: the service's own role.
    access: Admission | None = None
    #: Pages of other origins may call it, where the service lets any (`connectors.web.cors`).
    across_origins: bool = False
    #: Whether it stands in the OpenAPI document; a page for people does not.
    documented: bool = True
