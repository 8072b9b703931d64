"""What the lookup answers: the table from which routes and the OpenAPI document come."""

from typing import Final

from connectors.serve.explaining.handlers import ExplainHandlers, ExplainQuestion
from connectors.serve.explaining.shapes import CustomerExplanation, PairExplanation, TraitExplanation
from connectors.serve.fragments import AnsweredContext
from connectors.serve.handlers import LAG_HEADER, MATCH_HEADER, Handlers, LookupAnswer
from connectors.serve.problems import BY_ID, BY_IDENTIFIER, BY_LOOKUP, BY_PAIR
from connectors.serve.questions import CursorWord, GradeWord, LookupQuestion
from connectors.serve.timeline import PAGE_SIZE, PAGE_SIZE_MAX, Page
from connectors.web.operations import Answer, Content, Operation, Parameter
from connectors.web.problems import INVALID_PARAMETER
from schemas.asked import NameWord
from schemas.document import ContextDocument

DESCRIPTION: Final = "One live context per customer, by the customer's id or by any identifier."

_CUSTOMER: Final = Parameter(
    "customer", "path", "The customer's id, 32 hexadecimal digits.", example="0f8fad5bd9cb469fa16570867728950e"
)
_FRESH: Final = {
    LAG_HEADER: "Age in seconds of the oldest event not yet in any context; 0 only when nothing waits anywhere.",
    "Cache-Control": "Always `private, no-store`.",
}
_TAGGED: Final = _FRESH | {"ETag": "Of this very document; send it as If-None-Match to be spared a copy."}
_MATCHED: Final = {
    MATCH_HEADER: "`kind; grade; level`: by what, by how sure a chain, and how well known the customer is."
}
_UNCHANGED: Final = Answer("What the client has is still right.", headers=_TAGGED)
_MOVED: Final = Answer(
    "The customer has another id now, in Location. Ask there, and do not remember it for ever: links can be undone.",
    headers=_FRESH | {"Location": "The same of the successor."},
)
_MIN_GRADE: Final = Parameter(
    "min_grade",
    "query",
    "An identifier that hangs on a weaker chain yields only its own events' document, without the customer's id.",
    schema=GradeWord,
    example="login",
)
_IF_NONE_MATCH: Final = Parameter("If-None-Match", "header", "An ETag of an earlier answer.")


def operations(handlers: Handlers, explain: ExplainHandlers) -> tuple[Operation, ...]:
    """The table, for `connectors.web.service.make_service`."""
    return (*_contexts(handlers), *_explanations(explain))


def _contexts(handlers: Handlers) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET", "/v1/customers/{customer}/context", handlers.customer_context, "customerContext",
            "The context of a customer",
            {200: Answer("The context.", (Content(ContextDocument),), _TAGGED), 304: _UNCHANGED, 308: _MOVED},
            parameters=(_CUSTOMER, _IF_NONE_MATCH),
            problems=(*BY_ID, INVALID_PARAMETER),
        ),
        Operation(
            "GET", "/v1/customers/{customer}/interactions", handlers.interactions, "customerInteractions",
            "A page of a customer's interactions, newest first",
            {200: Answer("The page.", (Content(Page),), _TAGGED), 304: _UNCHANGED, 308: _MOVED},
            parameters=(
                _CUSTOMER,
                Parameter(
                    "limit", "query", "How many interactions at the most.", example=PAGE_SIZE,
                    schema={"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE},
                ),
                Parameter("cursor", "query", "`next` of the page before.", schema=CursorWord),
                _IF_NONE_MATCH,
            ),
            problems=(*BY_ID, INVALID_PARAMETER),
        ),
        Operation(
            "GET", "/v1/identifiers/{kind}/{value}/context", handlers.identifier_context, "identifierContext",
            "The context of whose identifier it is",
            {200: Answer("The context.", (Content(AnsweredContext),), _TAGGED | _MATCHED), 304: _UNCHANGED},
            description="The identifier stands in the URL, which logs of others may keep: prefer `POST /v1/lookup`.",
            parameters=(
                Parameter("kind", "path", "The identifier's kind.", example="email"),
                Parameter("value", "path", "Its value, percent-encoded; it is normalised.", example="ann@example.com"),
                Parameter("namespace", "query", "Of the system that gave it, where kinds need one.", schema=NameWord),
                Parameter("realm", "query", "Of the brand or tenant.", schema=NameWord),
                _MIN_GRADE,
                _IF_NONE_MATCH,
            ),
            problems=BY_IDENTIFIER,
        ),
        Operation(
            "POST", "/v1/lookup", handlers.lookup, "lookup", "The context of whose identifiers they are",
            {200: Answer("Match and context.", (Content(LookupAnswer[AnsweredContext]),), _TAGGED | _MATCHED)},
            description="The strongest identifier that leads to a customer decides; those that lead elsewhere are "
            "`conflicts`. Unknown ones lead nowhere.",
            bodies=(
                Content(LookupQuestion, example={"identifiers": [{"kind": "email", "value": "ann@example.com"}]}),
            ),
            problems=BY_LOOKUP,
        ),
    )  # fmt: skip


def _explanations(explain: ExplainHandlers) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST", "/v1/explain", explain.pair, "explainPair",
            "Why two identifiers are one customer, or are not",
            {200: Answer("The verdict and its evidence.", (Content(PairExplanation),), _FRESH)},
            description="In one customer the chain is the surest, of several the shortest: its weakest link is as "
            "strong as can be. Between two customers it is the shortest, and links that join nothing say why. A shared "
            "identifier is no problem here but an answer, which says why it is shared.",
            bodies=(Content(ExplainQuestion, example={"identifiers": [
                {"kind": "email", "value": "ann@example.com"}, {"kind": "crm", "value": "8812"}]}),),
            problems=BY_PAIR,
        ),
        Operation(
            "GET", "/v1/customers/{customer}/explain", explain.customer, "explainCustomer",
            "What a customer is made of, and what does not belong to it although it was seen with it",
            {200: Answer("The explanation.", (Content(CustomerExplanation),), _TAGGED), 304: _UNCHANGED, 308: _MOVED},
            parameters=(_CUSTOMER, _IF_NONE_MATCH),
            problems=(*BY_ID, INVALID_PARAMETER),
        ),
        Operation(
            "GET", "/v1/customers/{customer}/traits/{trait}/explain", explain.trait, "explainTrait",
            "Why a trait has its value: the value, those that lost, and the rule",
            {200: Answer("The explanation.", (Content(TraitExplanation),), _TAGGED), 304: _UNCHANGED, 308: _MOVED},
            parameters=(
                _CUSTOMER, Parameter("trait", "path", "The trait's name.", example="first_name"), _IF_NONE_MATCH,
            ),
            problems=(*BY_ID, INVALID_PARAMETER),
        ),
    )  # fmt: skip
