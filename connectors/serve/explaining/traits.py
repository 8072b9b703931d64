"""A trait of a customer: which value is shown, which ones lost, and by which rule."""

from typing import Final

import msgspec

from connectors.serve.explaining.customers import fragments_of
from connectors.serve.explaining.naming import Names
from connectors.serve.explaining.partition import PartitionView
from connectors.serve.explaining.shapes import Named, Statement, TraitExplanation
from connectors.serve.explaining.words import because_of_trait
from schemas.document import ContextDocument
from schemas.errors import SecretError
from schemas.identifiers import Identifier
from schemas.identity_policy import Grade
from schemas.roles import HOME
from schemas.times import format_time
from state.join import JoinRules, Part
from state.trait_explanation import Said, explain_trait

#: Fragments whose words are compared.
MEMBERS_MAX: Final = 5_000
#: Values that lost and are shown.
LOSERS_MAX: Final = 100


def explain_customer_trait(
    view: PartitionView, document: ContextDocument, trait: str, rules: JoinRules
) -> TraitExplanation | None:
    """Why the trait of the customer has its value; None where nobody says anything of it.

    Args:
        view: The partition.
        document: The customer's context as it was published.
        trait: Its name.
        rules: What the workers join by.
    """
    customer = document.customer
    fragments, more = fragments_of(view, customer, MEMBERS_MAX)
    parts = [part for part in (_part(view, fragment, customer) for fragment in fragments) if part is not None]
    home = next((part for fragment, part in parts if fragment == customer), None)
    if home is None:
        return None
    reasons = explain_trait(trait, home, [part for fragment, part in parts if fragment != customer], rules)
    if reasons is None:
        return None
    names = Names(view, set(fragments))
    named = {part.identifier: names.of(fragment) for fragment, part in parts}
    value = None if reasons.winner is None else _statement(reasons.winner, named)
    losers = tuple(_statement(loser, named) for loser in reasons.losers[:LOSERS_MAX])
    rule = "trusted" if reasons.trusted else "newest"
    return TraitExplanation(
        customer,
        trait,
        because_of_trait(trait, rule, value, len(reasons.losers)),
        rule,
        value,
        losers,
        max(0, len(reasons.losers) - LOSERS_MAX),
        _differs(document, trait, value),
        view.cut or more,
    )


def _part(view: PartitionView, fragment: str, customer: str) -> tuple[str, Part] | None:
    record = view.record(fragment)
    if record is None or not record.sealed:
        return None
    try:
        identifier = view.links.unseal(record.sealed, fragment)
    except SecretError:
        return None
    row = view.links.row(fragment)
    role, grade, former = (HOME, record.grade, False) if row is None else (row.state, row.grade, row.former)
    if fragment == customer:
        role = HOME
    return fragment, Part(identifier, role, grade, None, None, record.content, former=former)


def _statement(said: Said, named: dict[Identifier, Named]) -> Statement:
    register = said.register
    return Statement(
        msgspec.Raw(register.value),
        format_time(register.time),
        register.source,
        register.event,
        Grade(register.grade).label,
        register.rank,
        named[said.part.identifier],
        said.lost_by,
    )


def _differs(document: ContextDocument, trait: str, value: Statement | None) -> bool:
    """Whether the published context says something else; the two come in transactions of their own."""
    published = document.traits.get(trait)
    shown = None if value is None or bytes(value.value) == b"null" else bytes(value.value)
    return (None if published is None else bytes(published.value)) != shown
