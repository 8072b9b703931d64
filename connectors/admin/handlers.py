"""Requests to orders and answers over HTTP.

What blocks for long runs as `slow_work`; all else reads a few rows. Plain identifiers stand in answers, and never in
the log.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from aiohttp import hdrs, web

from connectors.admin.answers import (
    LargeCustomersAnswer,
    OrderAnswer,
    OrdersPage,
    SuspectsAnswer,
    shown_large_customer,
    shown_order,
    shown_policy,
    shown_repair,
    shown_suspect,
    words_of,
)
from connectors.admin.customers import Places, moves
from connectors.admin.foreseeing import Foreseeing, FreezableRows
from connectors.admin.giving import Giving
from connectors.admin.order_book import BookedOrder, OrderBook
from connectors.admin.problems import CATCHING_UP, NO_POLICY_YET, NO_SUCH_ORDER, NOTHING_TO_SPLIT
from connectors.admin.questions import (
    LargeCustomersQuestion,
    ListQuestion,
    OrderQuestion,
    SearchQuestion,
    SuspectsQuestion,
    UndoQuestion,
    WaitQuestion,
    admitted,
    asked_identifier,
    author_of,
    id_of,
    reason_of,
    require_whole,
)
from connectors.admin.slow_work import SlowWork
from connectors.web.access import PRINCIPAL
from connectors.web.problems import ProblemError, retry_after
from connectors.web.questions import NoQuestion, decode_body, read_query
from connectors.web.requests import read_body, require_media_type
from connectors.web.standard import READY_RETRY_SECONDS, ReadyReport, json_response
from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.messages import Order, SealedIdentifier, Undo
from schemas.orders import OPERATOR_SOURCE, Authority, Verb
from schemas.policy_parts import decode_policy
from schemas.rows import POLICY_ROW_KEY, REPAIR_ROW_KEY, PolicyRow, RepairRow, RowDecoder
from state.engine import Rows
from state.identity.clusters import largest_customers
from state.identity.suspects import SuspectSort, suspects

_JSON: Final = "application/json"
_ORDER: Final = msgspec.json.Decoder(OrderQuestion)
_UNDO: Final = msgspec.json.Decoder(UndoQuestion)
_SEARCH: Final = msgspec.json.Decoder(SearchQuestion)
_POLICY_ROW: Final = RowDecoder(PolicyRow)
_REPAIR_ROW: Final = RowDecoder(RepairRow)
#: What an undo is called among the verbs of orders.
UNDO: Final = "undo"
#: What an order is called that was sent again.
GIVEN_BEFORE: Final = "given before"
CACHE_CONTROL: Final = "private, no-store"
_PREFIX: Final = "/v1/"
#: What is said of an order that was sent again.
ONCE: Final = "The order was given before, and is not given twice."
#: What is said while what was linked before is decided again, and once it is.
REPAIRING: Final = "A repair goes on: more may move until it ends."
REPAIRED: Final = "What was linked before is decided again."
#: What is said of an order that is acknowledged and not decided yet.
WAITS: Final = "The order is given; it counts as soon as a worker has read it."


class Work(NamedTuple):
    """Threads for what takes long."""

    dry_runs: SlowWork
    searches: SlowWork


class Handlers:
    """The operations of the admin service.

    Args:
        rows: The copy.
        keyring: Names and seals identifiers.
        policy: How identifiers are normalised and which are hidden.
        giving: Writes orders.
        foreseeing: Tries them.
        work: Threads for what takes long.
        ready: Whether the copy has been complete once.
    """

    def __init__(
        self,
        rows: FreezableRows,
        keyring: Keyring,
        policy: Policy,
        *,
        giving: Giving,
        foreseeing: Foreseeing,
        work: Work,
        ready: Callable[[], ReadyReport],
    ) -> None:
        self._rows = rows
        self._keyring = keyring
        self._policy = policy
        self._book = OrderBook(rows)
        self._giving = giving
        self._foreseeing = foreseeing
        self._work = work
        self._ready = ready

    async def give(self, request: web.Request) -> web.Response:
        """`POST /v1/orders`.

        1. Read. 2. Try it, where that is all that is asked. 3. Refuse a split of what is not together. 4. Give it.
        5. Wait until the copy shows what it has done, as long as is asked.
        """
        # 1. Read.
        wait_s = read_query(request, WaitQuestion).wait
        question = decode_body(await self._body(request), _ORDER)
        require_whole(question)
        identifiers = admitted(question.identifiers or (), self._policy)
        named = {self._keyring.fragment_id(identifier): identifier for identifier in identifiers}
        order = Order(
            source=OPERATOR_SOURCE,
            id=id_of(question),
            time=0,
            authority=Authority.OPERATOR,
            verb=question.order,
            identifiers=tuple(
                SealedIdentifier(fragment, identifier.kind, self._keyring.seal(identifier, fragment))
                for fragment, identifier in named.items()
            ),
            withdrawn_source=question.source or "",
            author=author_of(question, request[PRINCIPAL]),
            reason=reason_of(question),
        )
        self._require_ready()
        # 2. Try it.
        if question.dry_run:
            return await self._foresee(self._giving.timed(order), order.verb, tuple(named), named)
        # 3. What is not together can't be split; the same order sent again may have split it.
        is_new = self._giving.order(order.id) is None
        if is_new and order.verb == Verb.SPLIT and len(named) == 2 and not question.force:
            self._require_together(named)
        with self._rows.frozen() as before:
            # 4. Give it.
            booked = await self._giving.give(order, request[PRINCIPAL].name)
            # 5. Wait.
            done = await self._giving.wait_order(order, wait_s) if wait_s else None
            verb = order.verb if is_new else GIVEN_BEFORE
            return await self._told(done or booked, done is not None, verb, before, named)

    async def undo(self, request: web.Request) -> web.Response:
        """`POST /v1/orders/{order}/undo`, in the steps of `give`."""
        # 1. Read.
        wait_s = read_query(request, WaitQuestion).wait
        question = decode_body(await self._body(request), _UNDO)
        principal = request[PRINCIPAL]
        author, reason, undo_id = author_of(question, principal), reason_of(question), id_of(question)
        self._require_ready()
        booked = self._known(request.match_info["order"])
        undo = Undo(undo_id, self._giving.now_us(), booked.row.id, author, reason)
        named = self._named(booked)
        # 2. Try it.
        if question.dry_run:
            return await self._foresee(undo, UNDO, booked.row.fragments, named)
        with self._rows.frozen() as before:
            # 4. Give it.
            await self._giving.undo(undo, principal.name)
            # 5. Wait.
            done = await self._giving.wait_undone(undo.order, wait_s) if wait_s else None
            return await self._told(done or booked, done is not None, UNDO, before, named)

    async def order(self, request: web.Request) -> web.Response:
        """`GET /v1/orders/{order}`."""
        read_query(request, NoQuestion)
        self._require_ready()
        booked = self._known(request.match_info["order"])
        return json_response(shown_order(booked, self._places(self._rows, self._named(booked))))

    async def list(self, request: web.Request) -> web.Response:
        """`GET /v1/orders`."""
        question = read_query(request, ListQuestion).search()
        return self._page(question, "")

    async def search(self, request: web.Request) -> web.Response:
        """`POST /v1/orders/search`, which keeps the identifier out of URLs."""
        read_query(request, NoQuestion)
        question = decode_body(await self._body(request), _SEARCH)
        return self._page(question, "/identifier")

    async def suspects(self, request: web.Request) -> web.Response:
        """`GET /v1/suspects`."""
        question = read_query(request, SuspectsQuestion)
        self._require_ready()

        def search(_is_wanted: Callable[[], bool]) -> SuspectsAnswer:
            row = self._policy_row()
            policy = self._policy if row is None else decode_policy(row.policy)
            found = suspects(
                self._rows, self._keyring.unseal, policy, sort=SuspectSort(question.sort), limit=question.limit
            )
            places = self._places(self._rows, {})
            return SuspectsAnswer(tuple(shown_suspect(one, places) for one in found))

        return json_response(await self._work.searches.run(search))

    async def large_customers(self, request: web.Request) -> web.Response:
        """`GET /v1/large-customers`."""
        question = read_query(request, LargeCustomersQuestion)
        self._require_ready()

        def search(_is_wanted: Callable[[], bool]) -> LargeCustomersAnswer:
            places = self._places(self._rows, {})
            found = largest_customers(self._rows, limit=question.limit)
            return LargeCustomersAnswer(tuple(shown_large_customer(one, places) for one in found))

        return json_response(await self._work.searches.run(search))

    async def policy(self, request: web.Request) -> web.Response:
        """`GET /v1/policy`."""
        read_query(request, NoQuestion)
        self._require_ready()
        row = self._policy_row()
        if row is None:
            raise ProblemError(NO_POLICY_YET, NO_POLICY_YET.meaning)
        return json_response(shown_policy(row, self._repair_row()))

    async def complete_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Response signal: answers hold plain identifiers, and may be kept by nobody."""
        if request.path.startswith(_PREFIX):
            response.headers[hdrs.CACHE_CONTROL] = CACHE_CONTROL

    # What the operations share

    @staticmethod
    async def _body(request: web.Request) -> bytes:
        require_media_type(request, (_JSON,))
        return await read_body(request)

    def _require_ready(self) -> None:
        report = self._ready()
        if not report.ready:
            raise ProblemError(
                CATCHING_UP,
                "; ".join(report.reasons),
                headers=retry_after(READY_RETRY_SECONDS),
                members={"reasons": list(report.reasons)},
            )

    def _require_together(self, named: Mapping[str, Identifier]) -> None:
        if not self._places(self._rows, named).together(*named):
            raise ProblemError(NOTHING_TO_SPLIT, NOTHING_TO_SPLIT.meaning)

    def _known(self, order: str) -> BookedOrder:
        booked = self._giving.order(order)
        if booked is None:
            raise ProblemError(NO_SUCH_ORDER, NO_SUCH_ORDER.meaning)
        return booked

    def _named(self, booked: BookedOrder) -> dict[str, Identifier]:
        """The plain identifiers of an order that waits; the rows have those of others."""
        return {
            identifier.fragment: self._keyring.unseal(identifier.sealed, identifier.fragment)
            for identifier in self._giving.waiting_identifiers(booked.row.id)
        }

    def _places(self, rows: Rows, named: Mapping[str, Identifier]) -> Places:
        return Places(rows, self._keyring, self._policy, named=named)

    async def _foresee(
        self, message: Order | Undo, verb: str, fragments: Sequence[str], named: Mapping[str, Identifier]
    ) -> web.Response:
        answer = await self._work.dry_runs.run(
            lambda is_wanted: self._foreseeing.foresee(message, verb, fragments, named, is_wanted)
        )
        return json_response(answer)

    async def _told(
        self, booked: BookedOrder, done: bool, verb: str, frozen: Rows, named: Mapping[str, Identifier]
    ) -> web.Response:
        """200 with what it has done, once the copy shows it; 202 before that."""
        after = self._places(self._rows, named)
        headers = {"Location": f"/v1/orders/{booked.row.id}"}
        if not done:
            answer = OrderAnswer(shown_order(booked, after), (WAITS,))
            return json_response(answer, status=HTTPStatus.ACCEPTED, headers=headers)
        if verb == GIVEN_BEFORE:
            answer = OrderAnswer(shown_order(booked, after), (ONCE,))
            return json_response(answer, headers=headers)
        repair = shown_repair(self._repair_row())
        fragments = booked.row.fragments
        if not fragments:
            # All that a source linked is decided again bit by bit, long after the order counts.
            word = REPAIRED if repair is None else REPAIRING
            return json_response(OrderAnswer(shown_order(booked, after), (word,), None, repair), headers=headers)
        before = self._places(frozen, named)
        # A customer of very many identifiers takes some milliseconds, which other requests should not wait for.
        moved = await asyncio.to_thread(
            lambda: moves(before, after, sorted(before.around(fragments) | after.around(fragments)))
        )
        words = words_of(verb, fragments, moved, before)
        if repair is not None:
            words = (*words, REPAIRING)
        return json_response(OrderAnswer(shown_order(booked, after), words, moved, repair), headers=headers)

    def _page(self, question: SearchQuestion, pointer: str) -> web.Response:
        self._require_ready()
        fragment = None
        if question.identifier is not None:
            fragment = self._keyring.fragment_id(asked_identifier(question.identifier, self._policy, pointer))
        before = None if question.cursor is None else int(question.cursor)
        found = self._book.newest(question.limit + 1, fragment=fragment, before=before)
        places = self._places(self._rows, {})
        page = found[: question.limit]
        following = str(page[-1].row.offset) if len(found) > len(page) else None
        return json_response(OrdersPage(tuple(shown_order(one, places) for one in page), following))

    def _policy_row(self) -> PolicyRow | None:
        encoded = self._rows.get(POLICY_ROW_KEY)
        return None if encoded is None else _POLICY_ROW.decode(encoded)

    def _repair_row(self) -> RepairRow | None:
        encoded = self._rows.get(REPAIR_ROW_KEY)
        return None if encoded is None else _REPAIR_ROW.decode(encoded)
