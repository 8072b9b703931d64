"""Every error answer: problem details (RFC 9457) of one shape, each kind with a stable type and what to do about it.

```json
{"type": "/problems/not_ready", "title": "Not ready", "status": 503, "detail": "...", "code": "not_ready",
 "request_id": "...", "errors": [{"pointer": "/time", "detail": "...", "code": "invalid_time"}]}
```
`errors` is empty unless parts of the request are at fault. Further members are named by the kind's meaning.
`type` is a path of the same service that answers with the kind's meaning.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from schemas.errors import GoldenthreadError

PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM_PATH: Final = "/problems/"
#: Faults listed in one answer; the first ones are enough to correct a batch.
FIELD_PROBLEMS_MAX: Final = 20
# Headers that describe the body which a problem replaces.
_BODY_HEADERS: Final = frozenset({"content-type", "content-length", "content-encoding"})


@dataclass(frozen=True)
class ProblemKind:
    """One kind of problem. The code is for ever: clients branch on it."""

    code: str
    status: int
    title: str
    #: What happened and what the client should do, in a sentence or two.
    meaning: str

    @property
    def type_uri(self) -> str:
        """The relative URI that names the kind."""
        return PROBLEM_PATH + self.code


class FieldProblem(msgspec.Struct, frozen=True):
    """One fault at one place of the request."""

    #: A JSON pointer into the body; empty when the whole of it is meant.
    pointer: str
    detail: str
    code: str


class Problem(msgspec.Struct, frozen=True):
    """The body of every error answer."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: Sequence[FieldProblem]


MALFORMED_REQUEST: Final = ProblemKind(
    "malformed_request", 400, "Malformed request", "The request is not valid HTTP. Correct the client."
)
INVALID_PARAMETER: Final = ProblemKind(
    "invalid_parameter", 400, "Invalid parameter", "A path, query or header parameter is not as described. Correct it."
)
INVALID_BODY: Final = ProblemKind(
    "invalid_body", 400, "Invalid body", "The body is not as described; `errors` says where. Correct it."
)
UNAUTHENTICATED: Final = ProblemKind(
    "unauthenticated",
    401,
    "Unauthenticated",
    "A key that is known and has not expired is needed: `Authorization: Bearer KEY`.",
)
FORBIDDEN: Final = ProblemKind(
    "forbidden", 403, "Forbidden", "The key is known, but its roles do not include this operation. Use one that may."
)
WRONG_SOURCE: Final = ProblemKind(
    "wrong_source",
    403,
    "Wrong source",
    "A write key speaks for its own source only. Send the events of other sources with their keys; nothing is written.",
)
RATE_LIMITED: Final = ProblemKind(
    "rate_limited", 429, "Rate limited", "The key sends more requests than it may. Send again after Retry-After."
)
WRONG_HOST: Final = ProblemKind(
    "wrong_host",
    421,
    "Wrong host",
    "Where no key is configured the service answers under a loopback name only, such as 127.0.0.1 or localhost: a page "
    "of the internet could reach it under a name of its own. Ask under such a name, or configure keys.",
)
WRONG_ORIGIN: Final = ProblemKind(
    "wrong_origin",
    403,
    "Wrong origin",
    "Where no key is configured the service takes nothing from pages of other machines: any page of the internet could "
    "use it through a browser on this one. Configure keys, or name the page's origin where the service has a setting.",
)
NO_SUCH_PATH: Final = ProblemKind(
    "no_such_path", 404, "No such path", "This service has no such path; /openapi.json lists those it has."
)
METHOD_NOT_ALLOWED: Final = ProblemKind(
    "method_not_allowed", 405, "Method not allowed", "The path exists for other methods, which the Allow header lists."
)
BODY_TIMEOUT: Final = ProblemKind(
    "body_timeout", 408, "Body too slow", "The body did not arrive in time. Send it again over a better connection."
)
BODY_TOO_LARGE: Final = ProblemKind("body_too_large", 413, "Body too large", "Split the body and send the parts.")
UNSUPPORTED_MEDIA_TYPE: Final = ProblemKind(
    "unsupported_media_type", 415, "Unsupported media type", "Send one of the content types that the operation takes."
)
UNSUPPORTED_ENCODING: Final = ProblemKind(
    "unsupported_encoding", 415, "Unsupported content encoding", "Send the body in an encoding of Accept-Encoding."
)
INVALID_ENCODING: Final = ProblemKind(
    "invalid_encoding",
    400,
    "Invalid encoding",
    "The body is not what its Content-Encoding says: cut short, damaged, or not encoded at all. Correct the client.",
)
EXPECTATION_FAILED: Final = ProblemKind(
    "expectation_failed", 417, "Expectation failed", "Only `Expect: 100-continue` is understood."
)
REQUEST_REFUSED: Final = ProblemKind(
    "request_refused", 400, "Request refused", "The request can't be answered; the status says why."
)
INTERNAL_ERROR: Final = ProblemKind(
    "internal_error",
    500,
    "Internal error",
    "A fault of this service. Its log holds the reason under the request id; the request may be sent again.",
)
NOT_READY: Final = ProblemKind(
    "not_ready", 503, "Not ready", "The service can't answer yet. Send the request again after Retry-After."
)
OVERLOADED: Final = ProblemKind(
    "overloaded", 503, "Overloaded", "Too much is under way. Send the request again after Retry-After."
)

COMMON_KINDS: Final = (
    MALFORMED_REQUEST, INVALID_PARAMETER, INVALID_BODY, UNAUTHENTICATED, FORBIDDEN, WRONG_HOST, WRONG_ORIGIN,
    NO_SUCH_PATH, METHOD_NOT_ALLOWED, BODY_TIMEOUT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING,
    INVALID_ENCODING, EXPECTATION_FAILED, RATE_LIMITED, REQUEST_REFUSED, INTERNAL_ERROR, NOT_READY, OVERLOADED,
)  # fmt: skip
_BY_STATUS: Final = {
    400: MALFORMED_REQUEST,
    404: NO_SUCH_PATH,
    405: METHOD_NOT_ALLOWED,
    408: BODY_TIMEOUT,
    413: BODY_TOO_LARGE,
    415: UNSUPPORTED_MEDIA_TYPE,
    417: EXPECTATION_FAILED,
    503: NOT_READY,
}


class ProblemError(GoldenthreadError):
    """Raised by a handler: the request ends with this problem.

    Args:
        kind: What sort of problem.
        detail: What happened this time. The client sees it: no internals, no value that it did not send.
        errors: Faults of the body by pointer; the first `FIELD_PROBLEMS_MAX` are shown.
        headers: Further headers of the answer.
        members: Further members of the body.
        status: Instead of the kind's.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)[:FIELD_PROBLEMS_MAX]
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        self.status = status or kind.status


def retry_after(seconds: float) -> dict[str, str]:
    """The Retry-After header, in whole seconds and at least one."""
    return {hdrs.RETRY_AFTER: str(max(1, round(seconds)))}


def problem_response(error: ProblemError, request_id: str) -> web.Response:
    """The answer to a request that ended with the error."""
    problem = Problem(
        type=error.kind.type_uri,
        title=error.kind.title,
        status=error.status,
        detail=error.detail,
        code=error.kind.code,
        request_id=request_id,
        errors=error.errors,
    )
    body = msgspec.json.encode(error.members | msgspec.to_builtins(problem))
    headers = {hdrs.CACHE_CONTROL: "no-store"} | error.headers
    return web.Response(status=error.status, body=body, content_type=PROBLEM_TYPE, headers=headers)


def from_http_exception(exception: web.HTTPException) -> ProblemError:
    """The problem that says what aiohttp would have said in plain text."""
    status = exception.status
    kind = _BY_STATUS.get(status, REQUEST_REFUSED if status < 500 else INTERNAL_ERROR)
    headers = {name: value for name, value in exception.headers.items() if name.lower() not in _BODY_HEADERS}
    detail = kind.meaning if kind is not REQUEST_REFUSED else exception.reason
    return ProblemError(kind, detail, headers=headers, status=status)
