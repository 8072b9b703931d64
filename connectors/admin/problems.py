"""The problems of the admin service, besides those of every service."""

from typing import Final

from connectors.web.problems import INVALID_BODY, INVALID_PARAMETER, ProblemKind

NO_SUCH_ORDER: Final = ProblemKind(
    "no_such_order", 404, "No such order", "No order of this id is known here; one given elsewhere comes in a second."
)
NO_POLICY_YET: Final = ProblemKind(
    "no_policy_yet", 404, "No policy yet", "No worker has written the policy yet that decisions are made by. Start one."
)
UNUSABLE_IDENTIFIER: Final = ProblemKind(
    "unusable_identifier",
    400,
    "Unusable identifier",
    "Nothing is ever known by such a kind or value: sessions and addresses, withheld numbers, placeholders like "
    "`null`. Name another identifier; `errors` says which one is meant.",
)
ORDER_CONFLICT: Final = ProblemKind(
    "order_conflict",
    409,
    "Id in use",
    "Another order has this id. Send the very same order again to learn what became of it, or give this one a new id.",
)
NOTHING_TO_SPLIT: Final = ProblemKind(
    "nothing_to_split",
    409,
    "Nothing to split",
    "The two are not in one customer, so there is nothing to split. To keep them apart for good, order `forbid`, or "
    "send this with `force`.",
)
TOO_MANY_ORDERS: Final = ProblemKind(
    "too_many_orders", 409, "Too many orders", "As many orders of this pair stand as there may be. Undo old ones first."
)
ALREADY_UNDONE: Final = ProblemKind(
    "already_undone",
    409,
    "Already undone",
    "The order was taken back before. An undo can't be undone: give the order again, under another id.",
)
CATCHING_UP: Final = ProblemKind(
    "catching_up",
    503,
    "Catching up",
    "The service is still reading what happened before its start. Send the request again after Retry-After.",
)
BUSY: Final = ProblemKind(
    "busy",
    503,
    "Busy",
    "Dry runs and searches run one at a time, each within a bounded time. Send the request again after Retry-After.",
)
NOT_DELIVERED: Final = ProblemKind(
    "not_delivered",
    503,
    "Not delivered",
    "The broker did not acknowledge in time: the order may or may not have been given. Send it again with the `id` of "
    "this answer: it is given once, however often it is sent.",
)
BY_BODY: Final = (INVALID_BODY, INVALID_PARAMETER, UNUSABLE_IDENTIFIER, CATCHING_UP)
BY_ORDER: Final = (*BY_BODY, ORDER_CONFLICT, NOTHING_TO_SPLIT, TOO_MANY_ORDERS, BUSY, NOT_DELIVERED)
BY_UNDO: Final = (*BY_BODY, NO_SUCH_ORDER, ALREADY_UNDONE, ORDER_CONFLICT, BUSY, NOT_DELIVERED)
BY_QUERY: Final = (INVALID_PARAMETER, UNUSABLE_IDENTIFIER, CATCHING_UP)
