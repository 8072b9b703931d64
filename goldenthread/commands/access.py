"""`access new|make|list`: tokens for people and programs; a plain token is printed or written once and kept nowhere."""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from connectors.web.access import AccessKey, Role
from connectors.web.access_file import TOKEN_LENGTH_MIN, load_access_file
from goldenthread.commands.output import OUT, JsonFlag, print_json, print_text
from goldenthread.commands.tables import table
from goldenthread.secret import write_once
from goldenthread.settings import file_of, load_settings, variable_name
from schemas.credentials import closed_form
from schemas.errors import SettingError, UsageError
from schemas.times import MICROSECONDS_PER_SECOND, format_time

#: What tokens of ours start with, so that people and scanners of source code know one when they see it.
TOKEN_PREFIX: Final = "gt_"  # noqa: S105 - it is public.
TOKEN_LENGTH_BYTES: Final = 32
ACCESS_FILE: Final = "access.yaml"
_DAYS_MAX: Final = 36_500
_ACCESS_MODE: Final = 0o600
# Whoever scrapes metrics reads its token by its group.
_TOKEN_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750

access = typer.Typer(no_args_is_help=True, help="Who may call the services: tokens and their roles.")


@access.command()
def new(
    role: Annotated[list[Role], typer.Option(help="What it is for; can be repeated.")],
    name: Annotated[str, typer.Option(help="What the log calls it.")],
    days: Annotated[int | None, typer.Option(min=1, max=_DAYS_MAX, help="Days until it expires.")] = None,
    json: JsonFlag = False,
) -> None:
    """Print a fresh token, once, and the entry for the access file, which holds its digest alone."""
    if not name:
        raise UsageError("--name: the log calls the token by it, so it can't be empty")
    token = new_token()
    expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = _entry(name, role, closed_form(token, name, TOKEN_LENGTH_MIN), expires)
    if json:
        print_json({"token": token, "entry": entry})
        return
    print_text(f"# The token. It is shown this once.\n{token}\n")
    setting = variable_name("access_file")
    print_text(f"# The entry for `tokens` of the file that {setting} names.\n  - {msgspec.json.encode(entry).decode()}")


@access.command()
def make(
    folder: Annotated[Path | None, typer.Option(help="Where; `access` in the data directory if none is given.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make access.yaml with one token of each role, and each token in a file beside it. What is there stays."""
    folder = folder or load_settings().data_dir / "access"
    made = make_access_folder(folder)
    path = folder / ACCESS_FILE
    if json:
        print_json({"access_file": str(path), "made": made})
        return
    OUT.print(f"{path}: {'made ' + ', '.join(made) if made else 'all is there already'}.", markup=False)
    OUT.print(f"Start with {variable_name('access_file')}={path}; clients show what is in {folder}/ROLE.token.")


@access.command("list")
def list_(json: JsonFlag = False) -> None:
    """List the tokens of the access file: name, roles, expiry and rate, and nothing that lets anybody in."""
    path = file_of(load_settings(), "access_file")
    if path is None:
        raise SettingError(f"{variable_name('access_file')} is not set, so there are no tokens")
    rows = [_row(key) for key in load_access_file(path, os.environ)]
    if json:
        print_json(rows)
        return
    OUT.print(
        table(
            ("name", "roles", "expires", "state", "requests/s"),
            [
                (row["name"], ", ".join(row["roles"]), row["expires"], row["state"], row["requests_per_second"])
                for row in rows
            ],
        )
    )


def new_token() -> str:
    """A token with 256 bits of chance."""
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_LENGTH_BYTES)


def make_access_folder(folder: Path) -> list[str]:
    """Make what is missing; gives the names of the files that were made.

    1. The token of each role, each in its file. 2. The access file, of the tokens in the files: an end between the two
    is made good by the next call.

    Raises:
        SettingError: the folder can't be written, or what is there is no access file or holds no token.
    """
    path = folder / ACCESS_FILE
    with _usable(folder):
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        files = {role: folder / f"{role.value}.token" for role in Role}
        if path.exists():
            load_access_file(path, os.environ)
            return []
        made = []
        # 1. Tokens.
        for file in files.values():
            if not file.exists():
                write_once(file, f"{new_token()}\n".encode(), _TOKEN_MODE)
                made.append(file.name)
        # 2. The access file.
        entries = [
            _entry(role.value, [role], closed_form(file.read_text().strip(), str(file), TOKEN_LENGTH_MIN), None)
            for role, file in files.items()
        ]
        lines = "".join(f"  - {msgspec.json.encode(entry).decode()}\n" for entry in entries)
        header = (
            "# Who may call the services (docs/access.md); the tokens themselves are in the files beside this one.\n"
        )
        write_once(path, f"{header}tokens:\n{lines}".encode(), _ACCESS_MODE)
        return [*made, path.name]


def _entry(name: str, roles: list[Role], closed: str, expires: str | None) -> dict[str, Any]:
    """An entry as the access file has it, without the plain token."""
    written: dict[str, Any] = {"name": name}
    written |= {"role": roles[0].value} if len(roles) == 1 else {"roles": [role.value for role in roles]}
    written["token"] = closed
    if expires is not None:
        written["expires"] = expires
    return written


def _row(key: AccessKey) -> dict[str, Any]:
    now_us = time.time_ns() * MICROSECONDS_PER_SECOND // 1_000_000_000
    expired = key.expires_us is not None and key.expires_us <= now_us
    return {
        "name": key.name,
        "roles": sorted(role.value for role in key.roles),
        "expires": None if key.expires_us is None else format_time(key.expires_us),
        "state": "expired" if expired else "good",
        "requests_per_second": key.requests_per_second,
    }


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{folder} can't be used ({error}): give a folder that this user may write to") from error
