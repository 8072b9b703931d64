"""A customer: its identifiers, what it was seen with and does not have, the orders about it, the ids that led here."""

from itertools import islice
from typing import Final, NamedTuple

from connectors.serve.explaining.evidence import Showing
from connectors.serve.explaining.naming import Names
from connectors.serve.explaining.orders import Orders
from connectors.serve.explaining.partition import PartitionView
from connectors.serve.explaining.shapes import CustomerExplanation, FormerId, Member, ShownOrder, ShownStep
from connectors.serve.explaining.words import because_of_customer
from connectors.serve.layout import members_prefix
from schemas.identity_policy import Grade
from schemas.times import format_time
from state.context.document import CURRENT, FORMER, sight
from state.context.rows import Record
from state.fragment import Fragment
from state.identity.explaining.results import Reason, Sharing, Step

#: What is shown of a customer, and how many fragments are looked at.
MEMBERS_MAX: Final = 200
VETOES_MAX: Final = 100
SHARED_MAX: Final = 50
ORDERS_MAX: Final = 100
FORMER_MAX: Final = 100
#: Links of one identifier that are looked through for what joins nothing.
LINKS_MAX: Final = 300


def fragments_of(view: PartitionView, customer: str, most: int) -> tuple[list[str], bool]:
    """The customer's fragments, the home first, at most so many; and whether there are more."""
    prefix = members_prefix(customer)
    found = (key.removeprefix(prefix).decode() for key, _ in view.rows.scan(prefix))
    members = list(islice((fragment for fragment in found if fragment != customer), most))
    return [customer, *members][:most], len(members) >= most


class _Idle(NamedTuple):
    """Links that join nothing, but for those to shared identifiers; and those, each once."""

    vetoes: list[Step]
    sharings: dict[str, Sharing]


def explain_customer(view: PartitionView, customer: str, *, words: bool) -> CustomerExplanation:
    """What the customer is made of.

    Args:
        view: The partition.
        customer: Its id.
        words: Whether authors and reasons of orders are shown.
    """
    fragments, more = fragments_of(view, customer, MEMBERS_MAX)
    names = Names(view, set(fragments))
    orders = Orders(view, names, words=words)
    showing = Showing(view, names, orders)
    kinds = {fragment: met[0] for fragment in fragments if (met := view.identifier(fragment)) is not None}
    shown = [fragment for fragment, kind in kinds.items() if not names.hidden(kind)]
    met_by_identity = [fragment for fragment in shown if view.links.row(fragment) is not None]
    idle = _idle(view, names, met_by_identity)
    about = _orders_about(view, orders, met_by_identity)
    former = [FormerId(f, kinds[f]) for f in shown if f != customer and _was_published(view.record(f))]
    left_out = sum(
        max(0, found - most)
        for found, most in (
            (len(idle.vetoes), VETOES_MAX), (len(idle.sharings), SHARED_MAX), (len(about), ORDERS_MAX),
            (len(former), FORMER_MAX),
        )
    )  # fmt: skip
    return CustomerExplanation(
        customer,
        because_of_customer(len(shown), len(idle.vetoes), len(idle.sharings), len(about)),
        tuple(_member(view, names, showing, fragment) for fragment in shown),
        tuple(map(showing.step, idle.vetoes[:VETOES_MAX])),
        tuple(showing.sharing(sharing) for sharing in list(idle.sharings.values())[:SHARED_MAX]),
        tuple(about[:ORDERS_MAX]),
        tuple(former[:FORMER_MAX]),
        left_out,
        view.settling,
        view.cut or more,
    )


def _member(view: PartitionView, names: Names, showing: Showing, fragment: str) -> Member:
    row, record = view.links.row(fragment), view.record(fragment)
    content = Fragment() if record is None else record.content
    met = (None, None) if row is None else (row.first, row.last)
    first, last = sight(*met, content.total)
    return Member(
        fragment,
        names.of(fragment),
        Grade((row.grade if row is not None else content.grade) or Grade.CLAIMED).label,
        None if first is None else format_time(first),
        None if last is None else format_time(last),
        FORMER if row is not None and row.former else CURRENT,
        0 if content.total is None else content.total.count,
        None if row is None else _link(view, names, showing, fragment),
    )


def _link(view: PartitionView, names: Names, showing: Showing, fragment: str) -> ShownStep | None:
    step = view.explainer.hold(fragment)
    return None if step is None or names.hidden(step.link.kind) else showing.step(step)


def _was_published(record: Record | None) -> bool:
    return record is not None and record.version > 0


def _idle(view: PartitionView, names: Names, fragments: list[str]) -> _Idle:
    vetoes: list[Step] = []
    sharings: dict[str, Sharing] = {}
    for fragment in fragments:
        for step in view.explainer.idle_links(fragment, LINKS_MAX):
            if step.obstacle is None or names.hidden(step.link.kind):
                continue
            if step.obstacle.reason is Reason.SHARED:
                sharings |= {sharing.fragment: sharing for sharing in step.obstacle.sharings}
            else:
                vetoes.append(step)
    return _Idle(vetoes, sharings)


def _orders_about(view: PartitionView, orders: Orders, fragments: list[str]) -> list[ShownOrder]:
    found: dict[tuple[object, ...], ShownOrder] = {}
    for fragment in fragments:
        for order in orders.of_identifier(fragment):
            # A pair's order is met from both its ends.
            found.setdefault((order.verb, order.by, order.id, order.source), order)
    sources = {link.source for fragment in fragments for link in islice(view.seen(fragment), LINKS_MAX)}
    found |= {(order.verb, order.id, order.split_source): order for order in orders.of_sources(sources)}
    return list(found.values())
