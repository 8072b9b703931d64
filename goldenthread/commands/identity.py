"""`identity split|forbid|require|undo|orders|suspects|large`: who is who, by an operator's order.

Each order is tried first, and what would happen is shown: nothing is given before somebody has said yes.
"""

import getpass
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer

from connectors.admin.client import AdminClient
from connectors.web.json_client import JsonReply
from goldenthread.commands.identity_shown import (
    show_done,
    show_dry_run,
    show_large_customers,
    show_orders,
    show_problem,
    show_suspects,
)
from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json
from goldenthread.settings import load_settings, revealed
from schemas.errors import EXIT_PROBLEMS_FOUND, UsageError
from schemas.orders import Verb
from state.identity.clusters import CLUSTERS_MAX
from state.identity.suspects import SUSPECTS_MAX, SuspectSort

#: An order shows in the admin's own copy within a fraction of a second, where a worker runs.
WAIT_SECONDS: Final = 10.0
ORDERS_SHOWN: Final = 20
ORDERS_SHOWN_MAX: Final = 10_000
SUSPECTS_SHOWN: Final = 20
_KIND_AND_VALUE: Final = 2

identity = typer.Typer(no_args_is_help=True, help="Who is who: orders with a dry run first, and what they decide by.")

Pairs = Annotated[list[str] | None, typer.Argument(metavar="[KIND VALUE]...", help="Kind and value of each.")]
Namespaces = Annotated[
    list[str] | None, typer.Option("--namespace", help="The system that the identifiers are of; twice: of each one.")
]
Realm = Annotated[str | None, typer.Option(help="The brand or tenant.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept with the order, and needed to give it.")]
Author = Annotated[str | None, typer.Option(help="Who gives the order; the system user where nothing is said.")]
Id = Annotated[str | None, typer.Option("--id", help="Names the order: the same one is given once, however often.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")]
Url = Annotated[str | None, typer.Option(help="The admin service's address; the local one where none is given.")]


@identity.command()
def split(  # noqa: PLR0917 - typer turns each into an option of its own.
    identifiers: Pairs = None,
    source: Annotated[str | None, typer.Option(help="Split off all that this source ever linked.")] = None,
    force: Annotated[bool, typer.Option("--force", help="A pair that is not together, too.")] = False,
    namespace: Namespaces = None,
    realm: Realm = None,
    reason: Reason = None,
    author: Author = None,
    order_id: Id = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    url: Url = None,
    json: JsonFlag = False,
) -> None:
    """Split a pair, one identifier from all others, or all that a source linked; shows first what would happen."""
    named = _identifiers(identifiers, namespace, realm)
    if (source is None) == (not named):
        raise UsageError("name one or two identifiers (KIND VALUE [KIND VALUE]), or --source SOURCE")
    order: dict[str, Any] = {"source": source} if source is not None else {"identifiers": named}
    _Asking(url, yes=yes, dry_run=dry_run, json=json).give(
        {"order": Verb.SPLIT, **order, "force": force}, reason, author, order_id
    )


@identity.command()
def forbid(  # noqa: PLR0917 - as above.
    identifiers: Pairs = None,
    namespace: Namespaces = None,
    realm: Realm = None,
    reason: Reason = None,
    author: Author = None,
    order_id: Id = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    url: Url = None,
    json: JsonFlag = False,
) -> None:
    """Keep two identifiers in different customers for good; shows first what would happen."""
    order = {"order": Verb.FORBID, "identifiers": _pair(identifiers, namespace, realm)}
    _Asking(url, yes=yes, dry_run=dry_run, json=json).give(order, reason, author, order_id)


@identity.command()
def require(  # noqa: PLR0917 - as above.
    identifiers: Pairs = None,
    namespace: Namespaces = None,
    realm: Realm = None,
    reason: Reason = None,
    author: Author = None,
    order_id: Id = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    url: Url = None,
    json: JsonFlag = False,
) -> None:
    """Put two identifiers into one customer for good; shows first what would happen."""
    order = {"order": Verb.REQUIRE, "identifiers": _pair(identifiers, namespace, realm)}
    _Asking(url, yes=yes, dry_run=dry_run, json=json).give(order, reason, author, order_id)


@identity.command()
def undo(  # noqa: PLR0917 - as above.
    order: Annotated[str, typer.Argument(help="The order's id.")],
    reason: Reason = None,
    author: Author = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    url: Url = None,
    json: JsonFlag = False,
) -> None:
    """Take an order back, as if it had never been given; shows first what would happen."""
    _Asking(url, yes=yes, dry_run=dry_run, json=json).undo(order, reason, author)


@identity.command()
def orders(  # noqa: PLR0917 - as above.
    identifier: Pairs = None,
    namespace: Namespaces = None,
    realm: Realm = None,
    limit: Annotated[int, typer.Option(min=1, max=ORDERS_SHOWN_MAX, help="How many.")] = ORDERS_SHOWN,
    url: Url = None,
    json: JsonFlag = False,
) -> None:
    """List orders, newest first: all, or those that name an identifier."""
    named = _identifiers(identifier, namespace, realm)
    if len(named) > 1:
        raise UsageError("name one identifier (KIND VALUE), or none")
    _told(admin_client(url).orders(named[0] if named else None, limit), json, show_orders)


@identity.command()
def suspects(
    sort: Annotated[SuspectSort, typer.Option(help="By how many customers each reaches, or by what is at odds.")] = (
        SuspectSort.CONFLICT
    ),
    limit: Annotated[int, typer.Option(min=1, max=SUSPECTS_MAX, help="How many.")] = SUSPECTS_SHOWN,
    url: Url = None,
    json: JsonFlag = False,
) -> None:
    """List identifiers that look like several people's; reads everything once."""
    _told(admin_client(url).suspects(sort.value, limit), json, show_suspects)


@identity.command()
def large(
    limit: Annotated[int, typer.Option(min=1, max=CLUSTERS_MAX, help="How many.")] = SUSPECTS_SHOWN,
    url: Url = None,
    json: JsonFlag = False,
) -> None:
    """List the customers of most identifiers; reads everything twice."""
    _told(admin_client(url).large_customers(limit), json, show_large_customers)


class _Asking:
    """One order: tried, shown, confirmed, given.

    Args:
        url: The admin service's address.
        yes: Give it without a question.
        dry_run: Never give it.
        json: Print what the service answers.
    """

    def __init__(self, url: str | None, *, yes: bool, dry_run: bool, json: bool) -> None:
        self._client = admin_client(url)
        self._yes = yes
        self._dry_run = dry_run
        self._json = json

    def give(self, order: dict[str, Any], reason: str | None, author: str | None, order_id: str | None) -> None:
        """Try the order and, once that is wanted, give it."""
        name = order_id or uuid.uuid4().hex
        self._ask(
            f"identity {order['order']} … --id {name}",
            lambda: self._client.give({**order, "dry_run": True}),
            lambda why: self._client.give(
                {**order, "id": name, "reason": why, "author": _author(author)}, WAIT_SECONDS
            ),
            reason,
        )

    def undo(self, order: str, reason: str | None, author: str | None) -> None:
        """Try the undo and, once that is wanted, take the order back."""
        undo_id = uuid.uuid4().hex
        self._ask(
            f"identity undo {order}",
            lambda: self._client.undo(order, {"dry_run": True}),
            lambda why: self._client.undo(
                order, {"id": undo_id, "reason": why, "author": _author(author)}, WAIT_SECONDS
            ),
            reason,
        )

    def _ask(
        self, again: str, dry_run: Callable[[], JsonReply], do: Callable[[str], JsonReply], reason: str | None
    ) -> None:
        if self._yes and not self._dry_run and not reason:
            raise UsageError("--reason TEXT: say why; the reason is kept with the order")
        foreseen = dry_run()
        if not self._json:
            OUT.print("What would happen:")
        if not (self._json and self._yes and foreseen.fine and not self._dry_run):
            _told(foreseen, self._json, show_dry_run)
        if self._dry_run:
            return
        why = reason or ""
        if not self._yes:
            why = _confirmed(reason)
        try:
            done = do(why)
        except UsageError as error:
            raise UsageError(f"{error}. It may have been done: look, or send the same again ({again})") from error
        _told(done, self._json, show_done)


def _confirmed(reason: str | None) -> str:
    """The reason, once somebody has said yes; ends the command where nobody does, or nobody is there."""
    if not _somebody_is_there():
        ERR.print("Nothing was done: nobody can be asked here. --yes does it, --dry-run only shows.")
        sys.exit(EXIT_PROBLEMS_FOUND)
    why = (reason or typer.prompt("Reason", err=True)).strip()
    if not why or not typer.confirm("Do it?", err=True):
        ERR.print("Nothing was done.")
        sys.exit(EXIT_PROBLEMS_FOUND)
    return str(why)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _told(reply: JsonReply, json: bool, show: Callable[[Any], None]) -> None:
    """Print what was answered; a problem ends the command."""
    if json:
        print_json(reply.body)
    elif reply.fine:
        show(reply.body)
    else:
        show_problem(reply.body)
    if not reply.fine:
        sys.exit(EXIT_PROBLEMS_FOUND)


def admin_client(url: str | None) -> AdminClient:
    """The client of the admin service at the address, of the local one where none is given."""
    settings = load_settings()
    base = url or f"http://{settings.local_host}:{settings.admin_port}"
    return AdminClient(base, revealed(settings.token))


def _author(author: str | None) -> str:
    if author is not None:
        return author
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError("--author: this user has no name here; say who gives the order") from error


def _pair(words: Sequence[str] | None, namespaces: Sequence[str] | None, realm: str | None) -> list[dict[str, str]]:
    named = _identifiers(words, namespaces, realm)
    if len(named) != 2:
        raise UsageError("name two identifiers: KIND VALUE KIND VALUE")
    return named


def _identifiers(
    words: Sequence[str] | None, namespaces: Sequence[str] | None, realm: str | None
) -> list[dict[str, str]]:
    words, namespaces = words or (), namespaces or ()
    if len(words) % _KIND_AND_VALUE or len(words) > 2 * _KIND_AND_VALUE:
        raise UsageError("identifiers are KIND VALUE, and two are the most")
    named = [
        {"kind": kind, "value": value}
        for kind, value in zip(words[::_KIND_AND_VALUE], words[1::_KIND_AND_VALUE], strict=True)
    ]
    if len(namespaces) > max(1, len(named)):
        raise UsageError("--namespace: one for all identifiers, or one for each")
    for number, identifier in enumerate(named):
        if namespaces:
            identifier["namespace"] = namespaces[number if len(namespaces) > 1 else 0]
        if realm is not None:
            identifier["realm"] = realm
    return named
