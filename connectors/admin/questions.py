"""What a request orders or asks: bodies and queries, checked before anything is looked up or written."""

import re
import uuid
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from connectors.admin.problems import UNUSABLE_IDENTIFIER
from connectors.web.access import ANYONE, Principal
from connectors.web.problems import INVALID_PARAMETER, FieldProblem, ProblemError
from connectors.web.questions import invalid_body
from schemas.asked import AskedIdentifier, NameWord, routed_identifier
from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.limits import SOURCE_LENGTH_MAX
from schemas.orders import AUTHOR_LENGTH_MAX, ORDER_ID_LENGTH_MAX, ORDER_ID_PATTERN, REASON_LENGTH_MAX, Verb
from state.identity.clusters import CLUSTERS_MAX
from state.identity.suspects import SUSPECTS_MAX

PAGE_SIZE: Final = 50
PAGE_SIZE_MAX: Final = 200
SUSPECTS_SIZE: Final = 50
#: How long an answer may wait to see what an order has done; a repair of everything takes longer and is told as such.
WAIT_SECONDS_MAX: Final = 30.0
# Offsets have no more digits than this.
_CURSOR_LENGTH_MAX: Final = 18

VerbWord = Literal["require", "forbid", "split"]
OrderIdWord = Annotated[
    str, msgspec.Meta(pattern=f"^{ORDER_ID_PATTERN}$", min_length=1, max_length=ORDER_ID_LENGTH_MAX)
]
ReasonWord = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_LENGTH_MAX)]
AuthorWord = Annotated[str, msgspec.Meta(min_length=1, max_length=AUTHOR_LENGTH_MAX)]
SourceWord = Annotated[str, msgspec.Meta(min_length=1, max_length=SOURCE_LENGTH_MAX)]
PageSize = Annotated[int, msgspec.Meta(ge=1, le=PAGE_SIZE_MAX)]
CursorWord = Annotated[str, msgspec.Meta(pattern="^[0-9]+$", min_length=1, max_length=_CURSOR_LENGTH_MAX)]

_OF_PAIRS: Final = frozenset({Verb.REQUIRE.value, Verb.FORBID.value})
# A pattern's `$` lets a line end pass; what is shown on a terminal or kept in a key must not steer or break it.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class OrderQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/orders`."""

    order: VerbWord
    #: Two for `require` and `forbid`; two, or one, for `split`.
    identifiers: Annotated[tuple[AskedIdentifier, ...], msgspec.Meta(min_length=1, max_length=2)] | None = None
    #: For `split` alone: all that this source ever linked, or will.
    source: SourceWord | None = None
    #: Kept with the order; required unless it is a dry run.
    reason: ReasonWord | None = None
    #: Who gives the order; the name of the token where nothing is said.
    author: AuthorWord | None = None
    #: Names the order for ever; the same order with the same id is given once, however often it is sent.
    id: OrderIdWord | None = None
    #: Only say what would happen.
    dry_run: bool = False
    #: Split a pair that is not in one customer, too: it will never be one.
    force: bool = False


class UndoQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/orders/{id}/undo`."""

    reason: ReasonWord | None = None
    author: AuthorWord | None = None
    #: Names the undo for ever, as that of an order.
    id: OrderIdWord | None = None
    dry_run: bool = False


class SearchQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/orders/search`."""

    #: Orders that name it; all where there is none.
    identifier: AskedIdentifier | None = None
    limit: PageSize = PAGE_SIZE
    cursor: CursorWord | None = None


class ListQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of `GET /v1/orders`."""

    kind: str | None = None
    value: str | None = None
    namespace: NameWord | None = None
    realm: NameWord | None = None
    limit: PageSize = PAGE_SIZE
    cursor: CursorWord | None = None

    def search(self) -> SearchQuestion:
        """The same as a body would ask it.

        Raises:
            ProblemError: 400, it names half an identifier.
        """
        if self.kind is None or self.value is None:
            if any(part is not None for part in (self.kind, self.value, self.namespace, self.realm)):
                raise ProblemError(INVALID_PARAMETER, "An identifier is `kind` and `value`, or neither is given.")
            return SearchQuestion(None, self.limit, self.cursor)
        given = {"namespace": self.namespace, "realm": self.realm}
        named = {name: text for name, text in given.items() if text is not None}
        return SearchQuestion(AskedIdentifier(self.kind, self.value, **named), self.limit, self.cursor)


class SuspectsQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of `GET /v1/suspects`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=SUSPECTS_MAX)] = SUSPECTS_SIZE
    sort: Literal["fan_out", "conflict"] = "conflict"


class LargeCustomersQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of `GET /v1/large-customers`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=CLUSTERS_MAX)] = SUSPECTS_SIZE


class WaitQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of what gives or takes back an order."""

    #: Seconds to wait until the admin's copy shows what it has done.
    wait: Annotated[float, msgspec.Meta(ge=0, le=WAIT_SECONDS_MAX)] = 0.0


def require_whole(question: OrderQuestion) -> None:
    """An order names what its verb needs.

    Raises:
        ProblemError: 400 with a pointer.
    """
    count = len(question.identifiers or ())
    if question.order in _OF_PAIRS:
        if question.source is not None:
            raise invalid_body("/source", f"`{question.order}` is said of two identifiers, not of a source")
        if count != 2:
            raise invalid_body("/identifiers", f"`{question.order}` needs two identifiers, not {count}")
    elif (question.source is None) == (count == 0):
        raise invalid_body("", "`split` needs either `identifiers`, one or two, or a `source`")
    require_line(question.source, "/source")


def admitted(asked: Sequence[AskedIdentifier], policy: Policy) -> tuple[Identifier, ...]:
    """The identifiers as events are routed by them.

    Raises:
        ProblemError: 400 with pointers: one is never known, both are one, or they are of two realms.
    """
    found = [routed_identifier(one, policy) for one in asked]
    if wrong := [number for number, identifier in enumerate(found) if identifier is None]:
        fault = UNUSABLE_IDENTIFIER
        errors = [FieldProblem(f"/identifiers/{number}", fault.title, fault.code) for number in wrong]
        raise ProblemError(fault, fault.meaning, errors=errors)
    identifiers = tuple(identifier for identifier in found if identifier is not None)
    if len(set(identifiers)) < len(identifiers):
        raise invalid_body("/identifiers/1", "it is the same identifier as the first")
    if len({identifier.realm for identifier in identifiers}) > 1:
        raise invalid_body("/identifiers/1/realm", "realms share no customers: both identifiers have to be of one")
    return identifiers


def asked_identifier(asked: AskedIdentifier, policy: Policy, pointer: str) -> Identifier:
    """One identifier as events are routed by it.

    Raises:
        ProblemError: 400, it is never known.
    """
    identifier = routed_identifier(asked, policy)
    if identifier is None:
        fault = UNUSABLE_IDENTIFIER
        errors = [FieldProblem(pointer, fault.title, fault.code)] if pointer else []
        raise ProblemError(fault, fault.meaning, errors=errors)
    return identifier


def reason_of(question: OrderQuestion | UndoQuestion) -> str:
    """Why; a dry run needs no reason.

    Raises:
        ProblemError: 400, it is missing or no line of text.
    """
    require_line(question.reason, "/reason")
    reason = (question.reason or "").strip()
    if not reason and not question.dry_run:
        raise invalid_body("/reason", "say why: the reason is kept with the order")
    return reason


def author_of(question: OrderQuestion | UndoQuestion, principal: Principal) -> str:
    """Who: as the question says, else the name of the token.

    Raises:
        ProblemError: 400, nobody is named, or not on one line.
    """
    require_line(question.author, "/author")
    author = (question.author or "").strip() or ("" if principal == ANYONE else principal.name)
    if not author and not question.dry_run:
        raise invalid_body("/author", "say who gives the order: no token does")
    return author


def id_of(question: OrderQuestion | UndoQuestion) -> str:
    """The id of an order or undo: the given one, or a new one.

    Raises:
        ProblemError: 400, it ends with a line end.
    """
    require_line(question.id, "/id")
    return question.id or uuid.uuid4().hex


def require_line(text: str | None, pointer: str) -> None:
    """A text that is kept and shown is one line without control characters.

    Raises:
        ProblemError: 400 with the pointer.
    """
    if text is not None and _CONTROL.search(text):
        raise invalid_body(pointer, "control characters and line ends are not taken")
