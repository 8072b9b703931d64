"""The pages that say why: why an identifier is a customer's, why a trait has its value, what was seen but not taken in.

The sentences and the chains are those of `connectors.serve.explaining`; here they become HTML.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web

from connectors.serve.explaining import words as why_words
from connectors.serve.explaining.explanations import ChangingTooFast
from connectors.serve.explaining.handlers import shows_words
from connectors.serve.explaining.pairs import UnknownIdentifier
from connectors.serve.finding import Published
from connectors.serve.page import customer as customers
from connectors.serve.page.faults import CATCHING_UP, NO_SUCH_PAGE, PageFault
from connectors.serve.page.handlers import PageHandlers, PageParts
from connectors.serve.page.views import Views
from connectors.serve.page.words import plain, value_text
from connectors.web.standard import READY_RETRY_SECONDS

Answer = TypeVar("Answer")


class WhyHandlers:
    """The handlers of explanations, behind the door."""

    def __init__(self, parts: PageParts, views: Views, handlers: PageHandlers) -> None:
        self._parts = parts
        self._views = views
        self._handlers = handlers

    async def customer(self, request: web.Request) -> web.StreamResponse:
        """`GET /customers/{customer}/why`."""
        published = self._handlers.published(request, "customers/{customer}/why")
        if isinstance(published, web.Response):
            return published
        words = shows_words(request)
        said = await _asked(lambda: self._parts.explanations.customer(published.customer, words=words))
        return self._page(request, "why_customer.html", published, said=said)

    async def identifier(self, request: web.Request) -> web.StreamResponse:
        """`GET /customers/{customer}/why/{fragment}`: the chain from an identifier to the home."""
        fragment = request.match_info["fragment"]
        # Of a customer that moved, the identifier may have gone elsewhere.
        published = self._handlers.published(request, "customers/{customer}/why")
        if isinstance(published, web.Response):
            return published
        words = shows_words(request)
        said = await _asked(lambda: self._parts.explanations.pair(fragment, published.customer, words=words))
        if said.customer != published.customer:
            # Whoever has a fragment id, but does not know the identifier, learns of this customer alone.
            raise PageFault(NO_SUCH_PAGE)
        return self._page(request, "why_identifier.html", published, said=said)

    async def trait(self, request: web.Request) -> web.StreamResponse:
        """`GET /customers/{customer}/traits/{trait}/why`."""
        trait = request.match_info["trait"]
        published = self._handlers.published(request, "customers/{customer}/why")
        if isinstance(published, web.Response):
            return published
        said = await _asked(lambda: self._parts.explanations.trait(published, trait))
        if said is None:
            raise PageFault(NO_SUCH_PAGE)
        return self._page(request, "why_trait.html", published, said=said, trait=plain(trait))

    def _page(self, request: web.Request, template: str, published: Published, **values: Any) -> web.Response:
        document = customers.read_document(published.encoded)
        return self._views.page(
            request, template,
            customer=published.customer, name=customers.display_name(document), why=why_words, value_text=value_text,
            now_us=self._parts.overview.now_us(), **values,
        )  # fmt: skip


async def _asked(question: Callable[[], Answer]) -> Answer:
    try:
        return await asyncio.to_thread(question)
    except UnknownIdentifier:
        raise PageFault(NO_SUCH_PAGE) from None
    except ChangingTooFast:
        raise PageFault(CATCHING_UP, retry_after_s=READY_RETRY_SECONDS) from None
