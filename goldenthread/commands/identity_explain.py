"""`identity explain`: why two identifiers are one customer or are not, what a customer is, why a trait is so."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import typer

from connectors.serve.client import LookupReply, explain_customer, explain_pair
from connectors.serve.explaining import words
from connectors.serve.explaining.shapes import (
    CustomerExplanation,
    Named,
    PairExplanation,
    ShownStep,
    Statement,
    TraitExplanation,
)
from goldenthread.commands.output import OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown, table
from goldenthread.settings import load_settings, revealed
from schemas.errors import EXIT_PROBLEMS_FOUND, UsageError

_KIND_AND_VALUE: Final = 2
_USAGE: Final = (
    "name two identifiers, `goldenthread identity explain email ann@example.com crm 8812`, or a customer, "
    "`--customer ID`, with `--trait NAME` for one of its traits"
)


def explain(  # noqa: PLR0917 - typer turns each into an option of its own.
    identifiers: Annotated[
        list[str] | None, typer.Argument(metavar="KIND VALUE...", help="Kind and value of two identifiers, or of one.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="What the customer of this id is made of.")] = None,
    trait: Annotated[str | None, typer.Option(help="Why this trait of the customer has its value.")] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="The system that the identifiers are of; twice: of each one.")
    ] = None,
    realm: Annotated[str | None, typer.Option(help="The brand or tenant.")] = None,
    url: Annotated[str | None, typer.Option(help="The lookup's address; the local one where none is given.")] = None,
    json: JsonFlag = False,
) -> None:
    """Say why identifiers are one customer or are not, by evidence; what a customer is made of; why a trait is so."""
    asked = identifiers or []
    if (customer is None) == (not asked) or (trait is not None and customer is None):
        raise UsageError(_USAGE)
    settings = load_settings()
    base = url or f"http://{settings.local_host}:{settings.lookup_port}"
    token = revealed(settings.token)
    if customer is not None:
        reply = explain_customer(base, customer, trait, token=token)
    else:
        reply = explain_pair(base, _two(asked, namespace or [], realm), token=token)
    if json or not reply.found:
        print_json(reply.body)
    else:
        _show(reply, trait is not None, customer is not None)
    if not reply.found:
        sys.exit(EXIT_PROBLEMS_FOUND)


def _two(asked: Sequence[str], namespaces: Sequence[str], realm: str | None) -> list[dict[str, str | None]]:
    if len(asked) not in {_KIND_AND_VALUE, 2 * _KIND_AND_VALUE} or len(namespaces) > len(asked) // _KIND_AND_VALUE:
        raise UsageError(_USAGE)
    # One by itself is asked about for what it is: a shared one says why.
    asked = [*asked, *asked] if len(asked) == _KIND_AND_VALUE else asked
    spaces = [*namespaces, *namespaces] if len(namespaces) == 1 else [*namespaces, None, None]
    return [
        {"kind": kind, "value": value, "namespace": space, "realm": realm}
        for kind, value, space in zip(asked[::2], asked[1::2], spaces, strict=False)
    ]


def _show(reply: LookupReply, of_trait: bool, of_customer: bool) -> None:
    # Values of traits are whatever events said, so they are read as the JSON that they came as.
    body = msgspec.json.encode(reply.body)
    if of_trait:
        _show_trait(msgspec.json.decode(body, type=TraitExplanation))
    elif of_customer:
        _show_customer(msgspec.json.decode(body, type=CustomerExplanation))
    else:
        _show_pair(msgspec.json.decode(body, type=PairExplanation))


def _show_pair(said: PairExplanation) -> None:
    OUT.print(shown(said.because), style="bold")
    if said.customer is not None:
        OUT.print(shown(f"Customer {said.customer}"))
    if said.chain:
        OUT.print(_steps(said.chain))
    for sharing in said.shared:
        if sharing.candidates:
            OUT.print(shown(f"It may be a customer's: {', '.join(sharing.candidates)}"))
    for order in said.orders:
        OUT.print(shown(f"Order: {words.order_words(order)}"))
    _notes(settling=said.settling, cut=said.cut)


def _show_customer(said: CustomerExplanation) -> None:
    OUT.print(shown(f"Customer {said.customer}: {said.because}"), style="bold")
    OUT.print(
        table(
            ("identifier", "value", "role", "grade", "events", "first", "last", "held by"),
            [
                (
                    one.identifier.kind, one.identifier.value, _role(one.identifier, one.status), one.grade, one.events,
                    _second(one.first), _second(one.last), "" if one.link is None else words.named(one.link.other),
                )
                for one in said.identifiers
            ],
        )
    )  # fmt: skip
    if said.vetoes:
        OUT.print(shown("Links that join nothing"), style="bold")
        OUT.print(_steps(said.vetoes))
    for sharing in said.shared:
        OUT.print(shown(f"Shared: {words.because_shared(sharing)}"))
    for order in said.orders:
        about = " and ".join(map(words.named, order.identifiers))
        OUT.print(shown(f"Order: {words.order_words(order)}{': ' if about else ''}{about}"))
    for former in said.former:
        OUT.print(shown(f"Leads here: {former.customer} ({former.kind})"))
    if said.left_out:
        OUT.print(shown(f"{said.left_out} more are not shown."))
    _notes(settling=said.settling, cut=said.cut)


def _show_trait(said: TraitExplanation) -> None:
    OUT.print(shown(said.because), style="bold")
    statements = [*(() if said.value is None else (said.value,)), *said.losers]
    OUT.print(
        table(
            ("value", "time", "source", "event", "grade", "rank", "came by", ""),
            [
                (
                    _text(one), _second(one.time), one.source, one.event, one.grade, one.rank,
                    words.named(one.identifier), "the value" if one.lost_by is None else words.lost_by(one.lost_by),
                )
                for one in statements
            ],
        )
    )  # fmt: skip
    if said.left_out:
        OUT.print(shown(f"{said.left_out} more are not shown."))
    if said.settling:
        OUT.print(shown("The published context does not say this yet."))
    _notes(settling=False, cut=said.cut)


def _steps(steps: Sequence[ShownStep]) -> Any:
    rows = []
    for step in steps:
        between = (words.named(step.one), words.named(step.other))
        against = "" if step.obstacle is None else f"joins nothing: {words.because_obstacle(step.obstacle)}"
        if step.order is not None:
            rows.append((*between, step.grade, words.order_words(step.order), "", "", against))
            between, against = ("", ""), ""
        for sight in step.sights:
            split = " (split off)" if sight.split else ""
            by = f"{sight.source} {sight.event}{split}"
            rows.append((*between, sight.grade, by, _second(sight.first), sight.last[:10], against))
            between, against = ("", ""), ""
    return table(("one", "other", "grade", "by", "first", "last, not before", ""), rows)


def _role(identifier: Named, status: str) -> str:
    return identifier.role if status == "current" else f"{identifier.role}, {status}"


def _notes(*, settling: bool, cut: bool) -> None:
    if settling:
        OUT.print(shown("A large change is under way: this may be different in a moment."))
    if cut:
        OUT.print(shown("There is more than was looked at: something may be missing here."))


def _second(time: str | None) -> str:
    """The time, without the digits of a second that people don't read."""
    return "" if time is None else f"{time[:19]}Z"


def _text(statement: Statement) -> str:
    value = msgspec.json.decode(statement.value)
    if value is None:
        return "(withdrawn)"
    return value if isinstance(value, str) else bytes(statement.value).decode()
