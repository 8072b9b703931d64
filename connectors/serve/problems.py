"""The problems of the lookup, besides those of every service."""

from typing import Final

from connectors.web.problems import INVALID_BODY, INVALID_PARAMETER, ProblemKind

NOT_KNOWN: Final = ProblemKind(
    "not_known", 404, "Not known", "Nothing is known by this id or identifier, or no event of it has come yet."
)
IDENTIFIER_SHARED: Final = ProblemKind(
    "identifier_shared",
    409,
    "Identifier shared",
    "Several people use this identifier, so it shows nobody's context. `candidates` are customers that it may belong "
    "to, at most five: decide by something else that you know, and ask by the customer's id.",
)
BECAME_SHARED: Final = ProblemKind(
    "became_shared",
    410,
    "Became shared",
    "The identifier behind this id turned out to be used by several people. `candidates` are customers that it may "
    "belong to, at most five. Forget the id.",
)
UNUSABLE_IDENTIFIER: Final = ProblemKind(
    "unusable_identifier",
    400,
    "Unusable identifier",
    "Nothing is ever known by such a kind or value: sessions and addresses, withheld numbers, placeholders like "
    "`null`. Ask by another identifier.",
)
CATCHING_UP: Final = ProblemKind(
    "catching_up",
    503,
    "Catching up",
    "The lookup is still reading what happened before its start. Send the request again after Retry-After.",
)
BY_ID: Final = (NOT_KNOWN, BECAME_SHARED, CATCHING_UP)
BY_IDENTIFIER: Final = (NOT_KNOWN, IDENTIFIER_SHARED, UNUSABLE_IDENTIFIER, INVALID_PARAMETER, CATCHING_UP)
BY_LOOKUP: Final = (NOT_KNOWN, IDENTIFIER_SHARED, UNUSABLE_IDENTIFIER, INVALID_BODY, CATCHING_UP)
BY_PAIR: Final = (NOT_KNOWN, UNUSABLE_IDENTIFIER, INVALID_BODY, CATCHING_UP)
