"""Two identifiers: whether they are one customer, and why."""

from connectors.serve.explaining.evidence import Showing
from connectors.serve.explaining.naming import Names
from connectors.serve.explaining.orders import Orders
from connectors.serve.explaining.partition import PartitionView
from connectors.serve.explaining.shapes import Named, PairExplanation, ShownOrder
from connectors.serve.explaining.words import because_of_pair
from schemas.identity_policy import Grade
from state.identity.explaining.results import Explanation, SharedBy, Sharing, Verdict


class UnknownIdentifier(LookupError):
    """Nothing is known of one of the two; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def explain_pair(view: PartitionView, one: str, other: str, *, words: bool) -> PairExplanation:
    """Why two identifiers are one customer, or are not.

    Args:
        view: The partition.
        one: The fragment of the first.
        other: That of the second.
        words: Whether authors and reasons of orders are shown.

    Raises:
        UnknownIdentifier: no event and no order has named one of the two.
    """
    for number, fragment in enumerate((one, other)):
        if view.identifier(fragment) is None:
            raise UnknownIdentifier(number)
    said = _with_policys_word(view, one, other, view.explainer.pair(one, other))
    # In one customer all of the chain is the reader's to see.
    known = {one, other}
    if said.verdict is Verdict.ONE:
        known |= {end for step in said.steps for end in (step.one, step.other)}
    names = Names(view, known)
    orders = Orders(view, names, words=words)
    showing = Showing(view, names, orders)
    identifiers = (names.of(one), names.of(other))
    chain = tuple(map(showing.step, said.steps))
    shared = tuple(map(showing.sharing, said.sharings))
    touching = _orders_about(orders, one, other)
    return PairExplanation(
        said.verdict,
        because_of_pair(said.verdict, identifiers, chain, shared, touching),
        identifiers,
        chain,
        _customer(said, identifiers),
        Grade(said.grade).label if said.grade else None,
        shared,
        touching,
        view.settling,
        view.cut,
    )


def _with_policys_word(view: PartitionView, one: str, other: str, said: Explanation) -> Explanation:
    """What the policy calls unlinkable stands alone in the partition, and is nobody's for readers."""
    nobodys = [fragment for fragment in dict.fromkeys((one, other)) if view.unlinkable(fragment)]
    if not nobodys:
        return said
    sharings = [sharing for sharing in said.sharings if sharing.fragment not in nobodys]
    sharings += [Sharing(fragment, SharedBy.UNLINKABLE) for fragment in nobodys]
    return said._replace(verdict=Verdict.SHARED, sharings=tuple(sharings))


def _customer(said: Explanation, identifiers: tuple[Named, ...]) -> str | None:
    return identifiers[0].customer if said.verdict is Verdict.ONE else None


def _orders_about(orders: Orders, one: str, other: str) -> tuple[ShownOrder, ...]:
    of_pair = orders.of_pair(one, other) if one != other else None
    splits = [order for fragment in dict.fromkeys((one, other)) for order in orders.splits_of(fragment)]
    return (*(() if of_pair is None else (of_pair,)), *splits)
