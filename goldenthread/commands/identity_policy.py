"""`identity rehearse|apply|policy`: another policy tried on what was recorded, put in force, and how far that is."""

import contextlib
import getpass
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn

from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown
from goldenthread.parts import Parts, make_parts
from goldenthread.secret import keyring
from goldenthread.settings import load_settings, variable_name
from schemas.errors import EXIT_PROBLEMS_FOUND, UsageError
from schemas.messages import PolicyChange
from schemas.orders import AUTHOR_LENGTH_MAX, REASON_LENGTH_MAX
from schemas.policy_file import load_policy
from schemas.policy_parts import encode_policy
from streams.logs import configure_logs

if TYPE_CHECKING:
    from goldenthread.rehearsing import Applied, Copied
    from state.identity.rehearsal import Rehearsed

# Kafka, RocksDB and the agents are loaded by the commands that need them: all others start faster by it.

_SCRATCH: Final = "rehearse-scratch"
_MICROSECONDS: Final = 1_000_000
SAMPLES_SHOWN: Final = 3
SAMPLES_MAX: Final = 1_000
#: A repair goes over some thousands of identifiers a second.
APPLY_TIMEOUT_SECONDS: Final = 600.0

PolicyFile = Annotated[Path, typer.Argument(help="A file as GOLDENTHREAD_IDENTITY_FILE names one (docs/policy.md).")]
Samples = Annotated[
    int, typer.Option("--sample", min=0, max=SAMPLES_MAX, help="How many merges that come, and go, are explained.")
]


def rehearse(file: PolicyFile, sample: Samples = SAMPLES_SHOWN, json: JsonFlag = False) -> None:
    """Try another policy on a copy of everything recorded: merges gained and lost, and the chains behind them.

    Nothing is changed. A policy that would route events otherwise is refused: that is a migration (docs/policy.md).
    """
    from goldenthread.commands.policy_shown import RehearsalReport

    with _rehearsed(file, "rehearsal", sample) as (_, copied, _, rehearsed):
        report = RehearsalReport(rehearsed, copied.rehearsal.identifier)
        if json:
            print_json(report.json())
        else:
            report.show()


def apply(  # noqa: PLR0917 - typer turns each into an option of its own.
    file: PolicyFile,
    reason: Annotated[str, typer.Option(help="Why; kept with the policy.")],
    author: Annotated[str | None, typer.Option(help="Who; the system user where nothing is said.")] = None,
    sample: Samples = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the past is repaired, too.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Wait so long, seconds.")] = APPLY_TIMEOUT_SECONDS,
    json: JsonFlag = False,
) -> None:
    """Put another policy in force: rehearse it, ask, and then repair the past by it, too.

    Exit 1 where the repair has not ended in time; it goes on by itself.
    """
    from goldenthread.commands.policy_shown import RehearsalReport
    from goldenthread.rehearsing import Following, give

    author = author or getpass.getuser()
    _require_words(reason, author)
    with _rehearsed(file, reason, sample, author) as (parts, copied, change, rehearsed):
        report = RehearsalReport(rehearsed, copied.rehearsal.identifier)
        if not json:
            report.show()
        summary: dict[str, Any] = {"change": change.id, "rehearsed": report.json()}
        if not rehearsed.differences:
            summary |= {"given": False, "done": True}
        else:
            if not yes and not typer.confirm("Put this policy in force?", err=True):
                raise UsageError("nothing was changed")
            give(parts, change)
            done = _follow(Following(parts, copied.next_offset, change.id), timeout if wait else 0.0, rehearsed)
            summary |= {"given": True, "in_force": done.in_force, "done": done.done}
    if json:
        print_json(summary)
    elif summary["given"]:
        _say_what_to_do(parts, file, summary)
    if summary["given"] and wait and not summary["done"]:
        sys.exit(EXIT_PROBLEMS_FOUND)


def policy(
    url: Annotated[str | None, typer.Option(help="The admin service's address; the local one by default.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show the policy in force: since when, by whom, why, and how far a repair has come. It asks the admin service."""
    from goldenthread.commands.identity import admin_client

    reply = admin_client(url).policy()
    if not reply.fine:
        raise UsageError(f"the admin service answers {reply.status}: {reply.body}")
    if json:
        print_json(reply.body)
        return
    answer = reply.body
    by = f"change {answer['change']}, by {answer['author']}: {answer['reason']}" if answer["change"] else "first start"
    since = f" since {answer['time']}" if answer["change"] else ""
    OUT.print(shown(f"In force{since} ({by})."))
    kinds = [each["name"] for each in answer["policy"]["kinds"]]
    OUT.print(shown(f"Kinds, strongest first: {', '.join(kinds)}"))
    repair = answer["repair"]
    if repair is None:
        OUT.print("No repair is under way: everything is decided by it.")
    else:
        OUT.print(shown(f"The repair {repair['run']} is at {repair['share']:.0%}, {repair['moved']} moved so far."))


@contextlib.contextmanager
def _rehearsed(
    file: Path, reason: str, samples: int, author: str = ""
) -> "Iterator[tuple[Parts, Copied, PolicyChange, Rehearsed]]":
    from goldenthread.local_broker import answering_broker
    from goldenthread.rehearsing import copied_links

    wanted = load_policy(file)
    settings = load_settings()
    configure_logs("WARNING")
    parts = make_parts(settings, "rehearse", keyring(settings))
    change = PolicyChange(
        f"policy-{uuid.uuid4()}", int(time.time() * _MICROSECONDS), encode_policy(wanted), author, reason
    )
    scratch = settings.data_dir / _SCRATCH
    try:
        with answering_broker(settings), contextlib.ExitStack() as stack:
            progress = stack.enter_context(_progress())
            copying = progress.add_task("copying identity.links", total=None, left="")
            first: list[int] = []

            def copied_so_far(left: int) -> None:
                first.append(left) if not first else None
                progress.update(copying, total=first[0], completed=first[0] - left, left=f"{left} records left")

            copied = stack.enter_context(copied_links(parts, scratch, copied_so_far))
            repairing = progress.add_task("rehearsing", total=None, left="")
            rehearsed = copied.rehearsal.run(
                change,
                samples=samples,
                on_step=lambda looked_at: progress.update(repairing, left=f"{looked_at} identifiers decided again"),
            )
            progress.stop()
            yield parts, copied, change, rehearsed
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _follow(following: "Any", timeout_s: float, rehearsed: "Rehearsed") -> "Applied":
    with _progress() as progress:
        task = progress.add_task("repairing", total=rehearsed.identifiers, left="")
        done: Applied = following.wait(
            timeout_s,
            lambda row: progress.update(task, completed=row.looked_at, left=f"{row.moved} placed otherwise"),
        )
    return done


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"), console=ERR)


def _require_words(reason: str, author: str) -> None:
    if not reason.strip():
        raise UsageError("--reason TEXT: who looks at this later should know why")
    for name, text, length_max in (("--reason", reason, REASON_LENGTH_MAX), ("--author", author, AUTHOR_LENGTH_MAX)):
        if len(text) > length_max:
            raise UsageError(f"{name} has {len(text)} characters, at most {length_max} are kept")


def _say_what_to_do(parts: Parts, file: Path, summary: dict[str, Any]) -> None:
    if summary["done"]:
        OUT.print(shown(f"{summary['change']} is in force, and the past is repaired."))
    elif summary["in_force"]:
        OUT.print(shown(f"{summary['change']} is in force; the repair goes on (goldenthread identity policy)."))
    else:
        OUT.print(
            shown(
                f"{summary['change']} is in the log, and in force as soon as a worker has read it (goldenthread "
                "identity policy; a refusal would be among goldenthread dead list)."
            )
        )
    setting, path = variable_name("identity_file"), parts.settings.identity_file
    where = f"put it in the place of {path}" if path is not None else f"let {setting} name it"
    OUT.print(shown(f"What {file} says is kept by the installation; so that later starts don't warn, {where}."))
