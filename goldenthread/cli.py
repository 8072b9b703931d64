"""The command line: every command of `goldenthread`, and what an error of ours prints and exits with."""

import sys

import typer

from goldenthread.commands.access import access
from goldenthread.commands.asyncapi import asyncapi
from goldenthread.commands.config import config, version
from goldenthread.commands.data import customer, import_, send, tail
from goldenthread.commands.dead import dead
from goldenthread.commands.doctor import doctor
from goldenthread.commands.drill import drill
from goldenthread.commands.identity import identity
from goldenthread.commands.identity_explain import explain
from goldenthread.commands.identity_policy import apply, policy, rehearse
from goldenthread.commands.output import ERR
from goldenthread.commands.schemas import schemas
from goldenthread.commands.services import admin, collect, init, lookup, worker
from goldenthread.commands.state import state
from goldenthread.commands.state_gap import accept_gap, gaps
from goldenthread.commands.up import up
from schemas.errors import GoldenthreadError

application = typer.Typer(
    name="goldenthread",
    help="One live context per customer, from the events of every channel, on Kafka.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
application.command()(up)
application.command()(init)
application.command()(worker)
application.command()(collect)
application.command()(lookup)
application.command()(admin)
application.command("import")(import_)
application.command()(send)
application.command()(tail)
application.add_typer(customer, name="customer")
application.add_typer(dead, name="dead")
application.add_typer(identity, name="identity")
identity.command()(explain)
identity.command()(rehearse)
identity.command()(apply)
identity.command()(policy)
application.add_typer(state, name="state")
state.command("accept-gap")(accept_gap)
state.command("gaps")(gaps)
application.add_typer(schemas, name="schemas")
application.add_typer(config, name="config")
application.add_typer(access, name="access")
application.command()(asyncapi)
application.command()(doctor)
application.command()(drill)
application.command()(version)


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and its exit code."""
    try:
        application()
    except GoldenthreadError as error:
        ERR.print(f"[bold red]{type(error).__name__}:[/] ", end="")
        ERR.print(str(error), markup=False)
        sys.exit(error.exit_code)
