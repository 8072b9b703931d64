"""The answers of explanations, as JSON."""

import msgspec


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """An identifier as an explanation names it."""

    #: `other` where the kind is never shown.
    kind: str
    #: home, joined, attached or shared.
    role: str
    #: Whose it is; absent for a shared one, which is nobody's.
    customer: str | None = None
    #: Absent for those of other customers than was asked about, and for kinds that are never shown.
    value: str | None = None
    namespace: str | None = None


class ShownOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order about who is who."""

    #: require, forbid or split.
    verb: str
    #: operator, record, or policy where the identity policy itself calls an identifier unlinkable.
    by: str
    #: The order's id; of a record's, that of its event.
    id: str | None = None
    time: str | None = None
    #: Of a record's, the event's source.
    source: str | None = None
    #: What it is about: a pair, one identifier, or none where it splits a source off.
    identifiers: tuple[Named, ...] = ()
    split_source: str | None = None
    #: For keys of the role admin only.
    author: str | None = None
    reason: str | None = None


class Sight(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source showed of a pair, in one grade."""

    source: str
    grade: str
    #: The first event that showed it.
    first: str
    event: str
    #: Not before when it was seen last, which is known to a span of 30 days: its start, or the first sight.
    last: str
    #: Whether it counts for nothing, since its source is split off.
    split: bool = False


class ShownSharing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an identifier is nobody's."""

    identifier: Named
    #: limit, unique, claimed, customers, claims, unlinkable or unsettled.
    by: str
    #: Of limit, unique and claimed, the kind of the neighbours that show it.
    kind: str | None = None
    #: How many there may be, of limit, claimed and claims.
    limit: int | None = None
    #: Some of the neighbours that show it.
    neighbours: tuple[Named, ...] = ()
    #: Customers that it may belong to, at most five.
    candidates: tuple[str, ...] = ()


class ShownObstacle(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a link joins nothing."""

    #: forbidden, unique, limit, shared, claimed, surer, group, split, withdrawn or unsettled.
    reason: str
    #: Of unique, the kind of which there would be two values.
    kind: str | None = None
    #: Of forbidden, split and withdrawn: the orders that say so.
    orders: tuple[ShownOrder, ...] = ()
    #: Of shared: why its ends are.
    shared: tuple[ShownSharing, ...] = ()


class ShownStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A link between two identifiers, and where it comes from."""

    one: Named
    other: Named
    #: How well it is known; `record` where an order requires it.
    grade: str
    #: evidence, record or operator: who stands behind it.
    by: str
    #: What sources showed of the pair, the best known first; none where only an order links it.
    sights: tuple[Sight, ...] = ()
    #: The order that requires it.
    order: ShownOrder | None = None
    #: Why it joins nothing; absent where both ends are in one customer.
    obstacle: ShownObstacle | None = None


class PairExplanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether two identifiers are one customer, and why."""

    #: one, apart or shared.
    verdict: str
    #: The same in a sentence.
    because: str
    #: The two, in the order of the question.
    identifiers: tuple[Named, ...]
    #: From the first to the second. Where they are one customer every link holds; otherwise those that do not say why.
    chain: tuple[ShownStep, ...]
    #: The customer that both belong to.
    customer: str | None = None
    #: The weakest link of the chain.
    grade: str | None = None
    #: Why those of the two that are shared are.
    shared: tuple[ShownSharing, ...] = ()
    #: Standing orders about this very pair, or about one of the two.
    orders: tuple[ShownOrder, ...] = ()
    #: Whether a large change is under way, so that what holds and what was decided may differ for a moment.
    settling: bool = False
    #: Whether a bound left something unread, so that there may be a shorter chain, or one at all.
    cut: bool = False


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """An identifier of a customer."""

    fragment: str
    identifier: Named
    #: How well it is linked to the home; of the home itself, the best grade that it was seen by.
    grade: str
    #: First and last sight, as in the customer's context.
    first: str | None
    last: str | None
    #: current, or former where a record says that another one has replaced it.
    status: str
    #: How many events came by this identifier.
    events: int
    #: The best of the links by which it is the customer's; absent for one that nothing else rests on.
    link: ShownStep | None = None


class FormerId(msgspec.Struct, frozen=True):
    """An id under which a context was published, and which leads to the customer now."""

    customer: str
    #: Of the identifier whose fragment it is.
    kind: str


class CustomerExplanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a customer is made of, and what does not belong to it although it was seen with it."""

    customer: str
    because: str
    identifiers: tuple[Member, ...]
    #: Links of its identifiers that join nothing, and why.
    vetoes: tuple[ShownStep, ...]
    #: Shared identifiers that were seen with its own, and why they are.
    shared: tuple[ShownSharing, ...]
    #: Standing orders about its identifiers, or about sources that linked them.
    orders: tuple[ShownOrder, ...]
    #: Ids that lead here now.
    former: tuple[FormerId, ...]
    #: How many identifiers, links, shared ones and orders are not shown, of those that were read.
    left_out: int = 0
    settling: bool = False
    cut: bool = False


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one identifier's events say of a trait."""

    #: Null where it was withdrawn.
    value: msgspec.Raw
    time: str
    source: str
    event: str
    grade: str
    #: The rank of the source, which decides between events of one time.
    rank: int
    #: The identifier that its event came by.
    identifier: Named
    #: Why it is not the value: attached, former, grade, time, rank, source, event or limit; absent for the value.
    lost_by: str | None = None


class TraitExplanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a trait has its value."""

    customer: str
    trait: str
    because: str
    #: newest, or trusted: the best grade before the newest.
    rule: str
    #: Absent where none is shown.
    value: Statement | None = None
    #: The best first.
    losers: tuple[Statement, ...] = ()
    left_out: int = 0
    #: Whether the published context does not say this yet.
    settling: bool = False
    cut: bool = False
