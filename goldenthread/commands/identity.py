"""`identity …`: who is who, by an operator's order: split, forbid, require, their undo, and what there is of them."""

import typer

identity = typer.Typer(no_args_is_help=True, help="Who is who: orders with a dry run first, and what they decide by.")
