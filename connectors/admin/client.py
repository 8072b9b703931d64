"""`goldenthread identity`: asks a running admin service, with identifiers in bodies, so that they are in no URL."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from connectors.admin.questions import PAGE_SIZE_MAX
from connectors.admin.slow_work import DEADLINE_SECONDS, SEARCH_DEADLINE_SECONDS
from connectors.web.json_client import JsonReply, ask

_SERVICE: Final = "the admin service"
# Beyond what the service itself waits for.
_GRACE_SECONDS: Final = 15.0


class AdminClient:
    """One admin service.

    Args:
        base_url: Where it is.
        token: One of the role `admin`, where it wants one.
    """

    def __init__(self, base_url: str, token: str | None = None) -> None:
        self._base_url = base_url
        self._token = token

    def give(self, order: Mapping[str, Any], wait_s: float = 0.0) -> JsonReply:
        """Give an order, or try one where it says `dry_run`."""
        return self._post(f"/v1/orders?{urlencode({'wait': wait_s})}", order, wait_s)

    def undo(self, order: str, undo: Mapping[str, Any], wait_s: float = 0.0) -> JsonReply:
        """Take an order back, or try to where it says `dry_run`."""
        return self._post(f"/v1/orders/{quote(order, safe='')}/undo?{urlencode({'wait': wait_s})}", undo, wait_s)

    def orders(self, identifier: Mapping[str, Any] | None, limit: int) -> JsonReply:
        """The newest orders, all pages of them in one; the first problem instead, if there is one."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            question = {"identifier": identifier, "limit": min(PAGE_SIZE_MAX, limit - len(found)), "cursor": cursor}
            reply = self._post("/v1/orders/search", question, 0.0)
            if not reply.fine:
                return reply
            found += reply.body["orders"]
            cursor = reply.body["next"]
            if cursor is None or len(found) >= limit:
                return JsonReply(reply.status, {"orders": found, "next": cursor}, reply.headers)

    def suspects(self, sort: str, limit: int) -> JsonReply:
        """Identifiers that look like several people's."""
        return ask(
            self._base_url,
            "GET",
            f"/v1/suspects?{urlencode({'sort': sort, 'limit': limit})}",
            service=_SERVICE,
            token=self._token,
            timeout_s=SEARCH_DEADLINE_SECONDS + _GRACE_SECONDS,
        )

    def large_customers(self, limit: int) -> JsonReply:
        """Customers of most identifiers."""
        return ask(
            self._base_url,
            "GET",
            f"/v1/large-customers?{urlencode({'limit': limit})}",
            service=_SERVICE,
            token=self._token,
            timeout_s=SEARCH_DEADLINE_SECONDS + _GRACE_SECONDS,
        )

    def policy(self) -> JsonReply:
        """The policy in force, and the repair under way."""
        return ask(self._base_url, "GET", "/v1/policy", service=_SERVICE, token=self._token)

    def _post(self, path: str, body: Mapping[str, Any], wait_s: float) -> JsonReply:
        return ask(
            self._base_url,
            "POST",
            path,
            service=_SERVICE,
            body=body,
            token=self._token,
            timeout_s=max(DEADLINE_SECONDS, wait_s) + _GRACE_SECONDS,
        )
