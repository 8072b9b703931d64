"""Asks a running lookup, for the command line; identifiers by POST, so that they are in no URL and no log."""

import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from connectors.serve.handlers import LAG_HEADER, MATCH_HEADER
from connectors.web.json_client import TIMEOUT_SECONDS, ask

_SERVICE: Final = "the lookup"


@dataclass(frozen=True)
class LookupReply:
    """What the lookup answered: what was asked for, or a problem."""

    status: int
    body: Any
    lag_seconds: str | None
    match: str | None

    @property
    def found(self) -> bool:
        """Whether what was asked for is in the body."""
        return self.status == http.client.OK


def customer_get(
    base_url: str,
    kind: str,
    value: str,
    *,
    namespace: str | None = None,
    realm: str | None = None,
    min_grade: str | None = None,
    token: str | None = None,
    timeout_s: float = TIMEOUT_SECONDS,
) -> LookupReply:
    """Look one identifier up.

    Raises:
        UsageError: no lookup answers there, or something that is none.
    """
    asked = {"kind": kind, "value": value, "namespace": namespace, "realm": realm}
    question: dict[str, Any] = {"identifiers": [_given(asked)]} | _given({"min_grade": min_grade})
    return _asked(base_url, "/v1/lookup", question, token=token, timeout_s=timeout_s)


def explain_pair(
    base_url: str,
    identifiers: Sequence[Mapping[str, str | None]],
    *,
    token: str | None = None,
    timeout_s: float = TIMEOUT_SECONDS,
) -> LookupReply:
    """Ask why two identifiers (kind, value, namespace, realm) are one customer or are not.

    Raises:
        UsageError: no lookup answers there, or something that is none.
    """
    question = {"identifiers": [_given(identifier) for identifier in identifiers]}
    return _asked(base_url, "/v1/explain", question, token=token, timeout_s=timeout_s)


def explain_customer(
    base_url: str,
    customer: str,
    trait: str | None = None,
    *,
    token: str | None = None,
    timeout_s: float = TIMEOUT_SECONDS,
) -> LookupReply:
    """Ask what a customer is made of, or why a trait of it has its value; an id that leads on is followed.

    Raises:
        UsageError: no lookup answers there, or something that is none.
    """
    leaf = "explain" if trait is None else f"traits/{quote(trait, safe='')}/explain"
    return _asked(base_url, f"/v1/customers/{quote(customer, safe='')}/{leaf}", None, token=token, timeout_s=timeout_s)


def _asked(
    base_url: str, path: str, question: dict[str, Any] | None, *, token: str | None, timeout_s: float
) -> LookupReply:
    """GET, or POST where there is a question."""
    method = "GET" if question is None else "POST"
    reply = ask(base_url, method, path, service=_SERVICE, body=question, token=token, timeout_s=timeout_s)
    return LookupReply(reply.status, reply.body, reply.headers.get(LAG_HEADER), reply.headers.get(MATCH_HEADER))


def _given(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in fields.items() if text is not None}
