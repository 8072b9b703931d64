"""What an explanation says, in fragment ids; whoever shows it puts names to them."""

from enum import StrEnum
from typing import NamedTuple

from state.identity.evidence import Link


class Verdict(StrEnum):
    """Whether two identifiers are one customer."""

    ONE = "one"
    APART = "apart"
    #: At least one of the two is shared, so it is nobody's.
    SHARED = "shared"


class SharedBy(StrEnum):
    """What shows that several people use an identifier."""

    #: Proven links to more neighbours of one kind than its kind's limit.
    LIMIT = "limit"
    #: Proven links to two values of a unique kind that no order unites.
    UNIQUE = "unique"
    #: Nothing but claims links it, and these to more neighbours of one kind than its kind's limit for that.
    CLAIMED = "claimed"
    #: Its best known links lead to several customers.
    CUSTOMERS = "customers"
    #: It was claimed together with more customers than its kind's limit.
    CLAIMS = "claims"
    #: The policy itself says that it is nobody's: own numbers, role mailboxes, test accounts.
    UNLINKABLE = "unlinkable"
    #: Its links do not show it at the moment: they have just changed, or there are too many to read.
    UNSETTLED = "unsettled"


class Sharing(NamedTuple):
    """Why an identifier is shared."""

    fragment: str
    by: SharedBy
    #: What was counted: of LIMIT, UNIQUE and CLAIMED the neighbours' kind, else empty.
    kind: str = ""
    #: How many there may be, of LIMIT, CLAIMED and CLAIMS.
    limit: int = 0
    #: Links that show it: to two unique values, to two customers, or the first of those that are too many.
    links: tuple[Link, ...] = ()


class Reason(StrEnum):
    """Why a link joins nothing."""

    #: An order keeps the two, or the customers that they are in, apart.
    FORBIDDEN = "forbidden"
    #: It would bring two values of a unique kind together.
    UNIQUE = "unique"
    #: It would bring more identifiers together than the limit.
    LIMIT = "limit"
    #: One of the two is shared.
    SHARED = "shared"
    #: It was only claimed, and claims join no two customers.
    CLAIMED = "claimed"
    #: The weaker of the two is better known to be somebody else's, by a login, a record or an order.
    SURER = "surer"
    #: Two of one kind, whose group points to several customers or is too large, so that each stands by itself.
    GROUP = "group"
    #: An order says that nothing linked to one of the two counts.
    SPLIT = "split"
    #: An order says that nothing of the sources that showed it counts.
    WITHDRAWN = "withdrawn"
    #: It has just changed, or too much would have to be read to tell.
    UNSETTLED = "unsettled"


class Obstacle(NamedTuple):
    """Why a link joins nothing."""

    reason: Reason
    #: Of FORBIDDEN, the pair that an order keeps apart, where it could be found.
    forbidden: tuple[str, str] | None = None
    #: Of UNIQUE, the kind of which there would be two values.
    kind: str = ""
    #: Of SHARED, why each shared end is.
    sharings: tuple[Sharing, ...] = ()
    #: Of SPLIT and SHARED, the ends that it is about.
    ends: tuple[str, ...] = ()


class Step(NamedTuple):
    """A link of a chain of evidence."""

    one: str
    link: Link
    #: None where both ends are in one customer.
    obstacle: Obstacle | None = None

    @property
    def other(self) -> str:
        """The end that it leads to."""
        return self.link.neighbour


class Explanation(NamedTuple):
    """Whether two identifiers are one customer, and by which chain of evidence."""

    verdict: Verdict
    #: From the first to the second. Where they are one customer every link holds; otherwise those that do not say why.
    #: Empty where nothing links them, and for one identifier with itself.
    steps: tuple[Step, ...] = ()
    #: The weakest grade along the steps; 0 without any.
    grade: int = 0
    #: Why those of the two that are shared are.
    sharings: tuple[Sharing, ...] = ()
    #: Whether a bound left something unread, so that there may be a shorter chain, or one at all.
    cut: bool = False
