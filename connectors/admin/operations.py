"""What the admin service answers: the table from which routes and the OpenAPI document come."""

from typing import Final

from connectors.admin.answers import (
    DryRunAnswer,
    LargeCustomersAnswer,
    OrderAnswer,
    OrdersPage,
    PolicyAnswer,
    ShownOrder,
    SuspectsAnswer,
)
from connectors.admin.handlers import Handlers
from connectors.admin.problems import (
    BUSY,
    BY_BODY,
    BY_ORDER,
    BY_QUERY,
    BY_UNDO,
    CATCHING_UP,
    NO_POLICY_YET,
    NO_SUCH_ORDER,
)
from connectors.admin.questions import (
    PAGE_SIZE,
    PAGE_SIZE_MAX,
    SUSPECTS_SIZE,
    WAIT_SECONDS_MAX,
    CursorWord,
    OrderIdWord,
    OrderQuestion,
    SearchQuestion,
    UndoQuestion,
)
from connectors.web.operations import Answer, Content, Operation, Parameter
from connectors.web.problems import INVALID_PARAMETER
from schemas.asked import NameWord
from state.identity.clusters import CLUSTERS_MAX
from state.identity.suspects import SUSPECTS_MAX

DESCRIPTION: Final = "Orders about who is who: given, tried, listed and taken back."

_ORDER: Final = Parameter("order", "path", "The order's id.", schema=OrderIdWord, example="case-4711")
_WAIT: Final = Parameter(
    "wait", "query", "Seconds to wait until the answer can say what was done.",
    schema={"type": "number", "minimum": 0, "maximum": WAIT_SECONDS_MAX, "default": 0}, example=5,
)  # fmt: skip
_LIMIT: Final = Parameter(
    "limit", "query", "How many at the most.", example=PAGE_SIZE,
    schema={"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE},
)  # fmt: skip
_CURSOR: Final = Parameter("cursor", "query", "`next` of the page before.", schema=CursorWord)
_PRIVATE: Final = {"Cache-Control": "Always `private, no-store`."}
_LOCATED: Final = _PRIVATE | {"Location": "The order."}
_DONE: Final = "What was done, once the service's own copy shows it, or, of a dry run, what would be."
_GIVEN: Final = "The broker has acknowledged it; it counts as soon as a worker has read it. `Location` tells more."
_PAIR: Final = [{"kind": "email", "value": "ann@example.com"}, {"kind": "cookie", "value": "c-77"}]


def operations(handlers: Handlers) -> tuple[Operation, ...]:
    """The table, for `connectors.web.service.make_service`."""
    return (*_about_orders(handlers), *_about_all(handlers))


def _about_orders(handlers: Handlers) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST", "/v1/orders", handlers.give, "giveOrder", "Give an order, or try one",
            {
                200: Answer(_DONE, (Content(OrderAnswer | DryRunAnswer),), _LOCATED),
                202: Answer(_GIVEN, (Content(OrderAnswer),), _LOCATED),
            },
            description="`require`: the two identifiers are one customer. `forbid`: they never are. `split`: of a pair "
            "as forbid; of one identifier or of a `source`, nothing that anybody, or this source, ever linked to it "
            "counts. With the `id` of an order that was given nothing is given twice.",
            parameters=(_WAIT,),
            bodies=(
                Content(
                    OrderQuestion,
                    example={"order": "split", "identifiers": _PAIR, "reason": "two persons", "dry_run": True},
                ),
            ),
            problems=BY_ORDER,
        ),
        Operation(
            "GET", "/v1/orders", handlers.list, "orders", "A page of orders, newest first",
            {200: Answer("The page.", (Content(OrdersPage),), _PRIVATE)},
            description="The identifier stands in the URL, which logs of others may keep: prefer "
            "`POST /v1/orders/search`.",
            parameters=(
                Parameter("kind", "query", "Only those that name this identifier: its kind.", example="email"),
                Parameter("value", "query", "And its value, which is normalised.", example="ann@example.com"),
                Parameter("namespace", "query", "Of the system that gave it, where kinds need one.", schema=NameWord),
                Parameter("realm", "query", "Of the brand or tenant.", schema=NameWord),
                _LIMIT,
                _CURSOR,
            ),
            problems=BY_QUERY,
        ),
        Operation(
            "POST", "/v1/orders/search", handlers.search, "searchOrders", "The same, with the identifier in the body",
            {200: Answer("The page.", (Content(OrdersPage),), _PRIVATE)},
            bodies=(Content(SearchQuestion, example={"identifier": _PAIR[0], "limit": PAGE_SIZE}),),
            problems=BY_BODY,
        ),
        Operation(
            "GET", "/v1/orders/{order}", handlers.order, "order", "One order, and whether it stands",
            {200: Answer("The order.", (Content(ShownOrder),), _PRIVATE)},
            parameters=(_ORDER,),
            problems=(NO_SUCH_ORDER, INVALID_PARAMETER, CATCHING_UP),
        ),
        Operation(
            "POST", "/v1/orders/{order}/undo", handlers.undo, "undoOrder", "Take an order back, or try to",
            {
                200: Answer(_DONE, (Content(OrderAnswer | DryRunAnswer),), _LOCATED),
                202: Answer(_GIVEN, (Content(OrderAnswer),), _LOCATED),
            },
            description="The order is as if it had never been given. This can't be undone: give the order again.",
            parameters=(_ORDER, _WAIT),
            bodies=(Content(UndoQuestion, example={"reason": "one person after all", "dry_run": True}),),
            problems=BY_UNDO,
        ),
    )  # fmt: skip


def _about_all(handlers: Handlers) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET", "/v1/suspects", handlers.suspects, "suspects", "Identifiers that look like several people's",
            {200: Answer("The foremost of them.", (Content(SuspectsAnswer),), _PRIVATE)},
            description="It reads everything once: seconds for a million identifiers. One search runs at a time.",
            parameters=(
                Parameter(
                    "limit", "query", "How many at the most.", example=SUSPECTS_SIZE,
                    schema={"type": "integer", "minimum": 1, "maximum": SUSPECTS_MAX, "default": SUSPECTS_SIZE},
                ),
                Parameter(
                    "sort", "query", "By how many customers it reaches, or by how much is at odds about it.",
                    schema={"enum": ["fan_out", "conflict"], "default": "conflict"}, example="fan_out",
                ),
            ),
            problems=(INVALID_PARAMETER, BUSY, CATCHING_UP),
        ),
        Operation(
            "GET", "/v1/large-customers", handlers.large_customers, "largeCustomers", "Customers of most identifiers",
            {200: Answer("The largest of them.", (Content(LargeCustomersAnswer),), _PRIVATE)},
            description="It reads everything twice, and shares its turn with `/v1/suspects`.",
            parameters=(
                Parameter(
                    "limit", "query", "How many at the most.", example=SUSPECTS_SIZE,
                    schema={"type": "integer", "minimum": 1, "maximum": CLUSTERS_MAX, "default": SUSPECTS_SIZE},
                ),
            ),
            problems=(INVALID_PARAMETER, BUSY, CATCHING_UP),
        ),
        Operation(
            "GET", "/v1/policy", handlers.policy, "policy", "The policy in force, and how far a repair has come",
            {200: Answer("Both.", (Content(PolicyAnswer),), _PRIVATE)},
            problems=(NO_POLICY_YET, INVALID_PARAMETER, CATCHING_UP),
        ),
    )  # fmt: skip
