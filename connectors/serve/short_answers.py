"""What the lookup answers the short way (`connectors.web.short_way`): contexts that are there, by plain paths.

That, and that there is none or that it has moved, is nearly all that a busy lookup answers. What is shared or has to
wait is the general way's (`handlers`), which looks once more and tells it in full.
"""

import re
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs

from connectors.serve.answers import Answers, Found, Moved, Unknown
from connectors.serve.handlers import CACHE_CONTROL, LAG_HEADER, MATCH_HEADER, LagSource, etag_of, match_header
from connectors.serve.problems import NOT_KNOWN
from connectors.web.problems import ProblemError
from connectors.web.short_way import Reply
from connectors.web.standard import ReadyReport
from schemas.asked import AskedIdentifier
from streams.metrics import Metrics

ID_ROUTE: Final = "/v1/customers/{customer}/context"
IDENTIFIER_ROUTE: Final = "/v1/identifiers/{kind}/{value}/context"
_JSON: Final = (hdrs.CONTENT_TYPE, "application/json")
# Whatever is written in another way, or is no id, has its meaning looked up by the general way.
_PLAIN_PATH: Final = re.compile(
    r"/v1/(?:customers/([0-9a-f]{32})|identifiers/([a-z_]+)/(?!\.+/)((?:[A-Za-z0-9._~@+-]|%40|%2B)+))/context", re.ASCII
)


class ShortAnswers:
    """Contexts by id and by one identifier.

    Args:
        answers: Reads contexts.
        freshness: Knows the lag.
        ready: Whether the copy has been complete once.
        metrics: Where look-ups are counted.
    """

    def __init__(
        self, answers: Answers, *, freshness: LagSource, ready: Callable[[], ReadyReport], metrics: Metrics
    ) -> None:
        self._answers = answers
        self._freshness = freshness
        self._ready = ready
        self._lookups = metrics.lookups

    def find(self, path: str) -> tuple[str, Reply] | None:
        """The context at a path, if nothing has to be waited for.

        As in `handlers`, the lag is asked for before anything is read.
        """
        plain = _PLAIN_PATH.fullmatch(path)
        if plain is None or not self._freshness.waiting or not self._ready().ready:
            return None
        lag = self._freshness.lag()
        if lag.seconds is None:
            return None
        last_headers = ((hdrs.CACHE_CONTROL, CACHE_CONTROL), (LAG_HEADER, str(lag)))
        customer, kind, value = plain.groups()
        if customer is not None:
            reply = self._by_id(customer)
            return None if reply is None else (ID_ROUTE, reply._replace(last_headers=last_headers))
        reply = self._by_identifier(AskedIdentifier(kind, value.replace("%40", "@").replace("%2B", "+")))
        return None if reply is None else (IDENTIFIER_ROUTE, reply._replace(last_headers=last_headers))

    def _by_id(self, customer: str) -> Reply | None:
        answer = self._answers.customer(customer)
        if isinstance(answer, Found):
            self._count("id", "found")
            return Reply(answer.encoded, ((hdrs.ETAG, etag_of(answer.encoded)), _JSON))
        if isinstance(answer, Moved):
            self._count("id", "moved")
            return Reply(b"", ((hdrs.LOCATION, ID_ROUTE.replace("{customer}", answer.customer)),), status=308)
        return self._unknown("id") if isinstance(answer, Unknown) else None

    def _by_identifier(self, asked: AskedIdentifier) -> Reply | None:
        answer = self._answers.identifier(asked)
        if isinstance(answer, Found) and answer.match is not None:
            self._count("identifier", "found")
            match = match_header(answer.match)
            headers = ((MATCH_HEADER, match), (hdrs.ETAG, etag_of(answer.encoded, match)), _JSON)
            return Reply(answer.encoded, headers)
        return self._unknown("identifier") if isinstance(answer, Unknown) else None

    def _unknown(self, by: str) -> Reply:
        self._count(by, "unknown")
        return Reply(ProblemError(NOT_KNOWN, NOT_KNOWN.meaning))

    def _count(self, by: str, outcome: str) -> None:
        self._lookups.labels(by, outcome).inc()
