"""The one place that says what an error answer looks like; tests of every service use it."""

from typing import Any

import aiohttp
import msgspec

MEMBERS = {"type", "title", "status", "detail", "code", "request_id", "errors"}


async def assert_problem(response: aiohttp.ClientResponse, status: int, code: str, *pointers: str) -> dict[str, Any]:
    """The answer is a problem of the code, whole and consistent; gives its body.

    Args:
        response: The answer.
        status: Expected, in the status line and in the body.
        code: Expected.
        pointers: Of `errors`, in their order.
    """
    text = await response.text()
    assert (response.status, response.content_type) == (status, "application/problem+json"), text
    return assert_problem_body(text.encode(), response.headers, status, code, *pointers)


def assert_problem_body(body: bytes, headers: Any, status: int, code: str, *pointers: str) -> dict[str, Any]:
    """As `assert_problem`, of a body that was read from a bare socket."""
    problem: dict[str, Any] = msgspec.json.decode(body)
    assert problem.keys() >= MEMBERS
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}")
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == headers["X-Request-Id"]
    assert [error["pointer"] for error in problem["errors"]] == list(pointers)
    assert all(error.keys() == {"pointer", "detail", "code"} for error in problem["errors"])
    assert "Traceback" not in body.decode()
    return problem
