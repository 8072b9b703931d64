"""What the lookup answers the short way (`connectors.web.short_way`): contexts that are there, by plain paths.

That is nearly all that a busy lookup is asked. What is not found, has moved, is shared or has to wait is the general
way's (`handlers`), which looks once more and tells it in full.
"""

import re
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs

from connectors.serve.answers import Answers, Found
from connectors.serve.handlers import CACHE_CONTROL, LAG_HEADER, MATCH_HEADER, LagSource, etag_of, match_header
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
        self._found_by_id = metrics.lookups.labels("id", "found")
        self._found_by_identifier = metrics.lookups.labels("identifier", "found")

    def find(self, path: str) -> tuple[str, Reply] | None:
        """The context at a path, if it is there and nothing has to be waited for.

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
            found = self._answers.customer(customer)
            if not isinstance(found, Found):
                return None
            self._found_by_id.inc()
            headers = ((hdrs.ETAG, etag_of(found.encoded)), _JSON)
            return ID_ROUTE, Reply(found.encoded, headers, last_headers=last_headers)
        answer = self._answers.identifier(AskedIdentifier(kind, value.replace("%40", "@").replace("%2B", "+")))
        if not isinstance(answer, Found) or answer.match is None:
            return None
        match = match_header(answer.match)
        self._found_by_identifier.inc()
        matched = ((MATCH_HEADER, match), (hdrs.ETAG, etag_of(answer.encoded, match)), _JSON)
        return IDENTIFIER_ROUTE, Reply(answer.encoded, matched, last_headers=last_headers)
