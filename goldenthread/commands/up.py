"""`goldenthread up`: broker, topics, worker, collect, lookup and admin under one supervisor, with a status line."""

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape

from bench.demo import EXAMPLE_EMAIL, demo_events
from bench.generator import SOURCES_FILE
from bench.play import play
from goldenthread.access import protected_services
from goldenthread.commands.access import new_token
from goldenthread.commands.output import ERR, OUT
from goldenthread.commands.status import StatusLine
from goldenthread.local_broker import broker_options
from goldenthread.parts import make_parts
from goldenthread.secret import keyring, make_data_dir, usable
from goldenthread.settings import PREFIX, Settings, load_settings, revealed, variable_name
from goldenthread.supervisor.broker_child import BROKER, broker_child
from goldenthread.supervisor.child_spec import ChildEvent, ChildSpec, ChildState, RestartPolicy
from goldenthread.supervisor.fetch_reporter import FetchReporter
from goldenthread.supervisor.ready import answers
from goldenthread.supervisor.supervisor import Supervisor
from schemas.clock import SystemClock
from schemas.errors import EXIT_USAGE, GoldenthreadError
from streams.broker.directory_lock import DirectoryLock
from streams.broker.local_broker import LocalBroker
from streams.broker.ports import Port, require_free
from streams.logs import configure_logs

# A worker may restore for minutes after a long outage; it answers probes meanwhile, so only a hang takes longer.
READY_DEADLINE_SECONDS: Final = 600.0
STOP_DEADLINE_SECONDS: Final = 30.0
OWN_LOG_SIZE_BYTES_MAX: Final = 1024 * 1024
DEMO_EVENTS_PER_SECOND: Final = 150.0
#: Settings that no other command has use for.
_OWN_SETTINGS: Final = frozenset({"fault", "supervisor_token"})


def up(
    demo: Annotated[bool, typer.Option("--demo", help="Play a small run of made-up customers.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Where state, the broker and logs are kept.")] = None,
) -> None:
    """Start everything here: a broker if none is given, then worker, collect, lookup and admin. Ctrl-C stops it all."""
    # Our own token: `up` plays the demo and reads metrics, whatever keys others need.
    settings = load_settings(data_dir=data_dir, supervisor_token=new_token())
    # The supervisor's own log goes to a file: the terminal shows the status line.
    with _log_file(settings) as log_file:
        configure_logs(settings.log_level, log_file)
        with DirectoryLock(settings.data_dir, setting=variable_name("data_dir")):
            # A wrong file is told now, and not by a child once the broker runs.
            make_parts(settings, "up", keyring(settings))
            protected_services(settings)
            code = _with_broker(settings, demo)
    sys.exit(code)


def _log_file(settings: Settings) -> TextIO:
    """The supervisor's own log; a long one becomes the older of two."""
    path = settings.data_dir / "logs" / "up.log"
    with usable(settings):
        make_data_dir(settings)
        path.parent.mkdir(exist_ok=True)
        if path.exists() and path.stat().st_size > OWN_LOG_SIZE_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
        return path.open("a")


def _with_broker(settings: Settings, demo: bool) -> int:
    require_free(
        [
            Port(settings.worker_port + settings.worker_index, variable_name("worker_port"), "worker metrics"),
            Port(settings.collect_port, variable_name("collect_port"), "collect"),
            Port(settings.lookup_port, variable_name("lookup_port"), "lookup"),
            Port(settings.admin_port, variable_name("admin_port"), "admin"),
        ],
        host=settings.host,
    )
    if settings.kafka_bootstrap_servers is not None:
        return asyncio.run(_run(settings, demo, None))
    with FetchReporter(ERR) as reporter:
        broker = LocalBroker(broker_options(settings), on_progress=reporter)
        broker.prepare()
    try:
        return asyncio.run(_run(settings, demo, broker))
    finally:
        broker.close()


async def _run(settings: Settings, demo: bool, broker: LocalBroker | None) -> int:
    children = _children(settings, demo, broker)
    policy = RestartPolicy(restarts_max=settings.restarts_max, window_s=settings.restart_window_s)
    supervisor = Supervisor(children, log_dir=settings.data_dir / "logs", policy=policy, on_event=_say)
    ERR.print(f"Starting {', '.join(child.name for child in children)}; logs are in {settings.data_dir / 'logs'}/")
    running = asyncio.create_task(supervisor.run())
    if await supervisor.wait_ready():
        OUT.print(_welcome(settings, demo))
        shown = asyncio.create_task(StatusLine(settings).show())
        played = asyncio.create_task(_play(settings)) if demo else None
        code = await running
        for task in (shown, played):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (shown, played) if task is not None), return_exceptions=True)
    else:
        code = await running
    if supervisor.failure is not None:
        ERR.print("[bold red]Stopped:[/] ", end="")
        ERR.print(str(supervisor.failure), markup=False)
        if supervisor.failure.exit_code == EXIT_USAGE:
            # The child's setting is ours as well: whoever started us is who can correct it.
            return EXIT_USAGE
    else:
        ERR.print("Stopped.")
    return code


def _children(settings: Settings, demo: bool, broker: LocalBroker | None) -> list[ChildSpec]:
    environment = _environment(settings, demo)
    program = (sys.executable, "-m", "goldenthread")

    def child(name: str, port: int, niceness: int = 0) -> ChildSpec:
        return ChildSpec(
            name=name,
            command=(*program, name),
            needs=("init",),
            ready=answers(f"http://{settings.local_host}:{port}/readyz"),
            environment=environment,
            ready_deadline_s=READY_DEADLINE_SECONDS,
            stop_deadline_s=STOP_DEADLINE_SECONDS,
            niceness=niceness,
        )

    brokers = [] if broker is None else [broker_child(broker)]
    init = ChildSpec(
        name="init",
        command=(*program, "init"),
        needs=tuple(spec.name for spec in brokers),
        one_shot=True,
        environment=environment,
    )
    return [
        *brokers,
        init,
        child("worker", settings.worker_port + settings.worker_index, settings.work_niceness),
        child("collect", settings.collect_port),
        child("lookup", settings.lookup_port),
        child("admin", settings.admin_port),
    ]


def _environment(settings: Settings, demo: bool) -> dict[str, str]:
    """The children's environment: ours, and what the command line or the demo decided."""
    environment = dict(os.environ)
    environment[variable_name("data_dir")] = str(settings.data_dir.resolve())
    environment[variable_name("kafka_bootstrap_servers")] = settings.bootstrap_servers
    environment[variable_name("supervisor_token")] = revealed(settings.supervisor_token) or ""
    if demo and settings.sources_file is None:
        environment[variable_name("sources_file")] = str(SOURCES_FILE)
    return environment


def _told() -> Console:
    """Where what happens is told: on a terminal through the console of the status line, which makes room for it."""
    return OUT if OUT.is_terminal else ERR


def _say(event: ChildEvent) -> None:
    """Tell what somebody who watches wants to know: what is ready, and what failed."""
    name, state = event.status.name, event.status.state
    if state is ChildState.READY and name == BROKER:
        _told().print("Kafka is ready.")
    elif state is ChildState.BACKING_OFF:
        # A failure stops everything, and is told with its reason at the end.
        _told().print(f"[yellow]{time.strftime('%H:%M:%S')}[/] {name} {event.detail}")


async def _play(settings: Settings) -> None:
    """Play the demo; what goes wrong with it is said, and ends nothing."""
    try:
        events = demo_events(SystemClock().now_us())
        accepted = await play(
            events,
            f"http://{settings.local_host}:{settings.collect_port}",
            DEMO_EVENTS_PER_SECOND,
            token=revealed(settings.supervisor_token),
        )
        _told().print(f"The demo has played {accepted} events.")
    except GoldenthreadError as error:
        _told().print(f"[yellow]The demo ended early:[/] {error}")


def same_settings(settings: Settings, environment: Mapping[str, str]) -> str:
    """The line with which another shell has the settings of this one; secrets are named, and never shown."""
    known = {name: field for field in Settings.model_fields for name in (variable_name(field), PREFIX + field.upper())}
    given = {name: known[name] for name in sorted(environment) if name in known and environment[name]}
    told = {name: field for name, field in given.items() if field not in _OWN_SETTINGS}
    secrets = [name for name, field in told.items() if isinstance(getattr(settings, field), SecretStr)]
    exported = {name: environment[name] for name in told if name not in secrets}
    if "data_dir" in settings.model_fields_set:
        # The command line may have given it; and a folder is another one elsewhere.
        exported[variable_name("data_dir")] = str(settings.data_dir.resolve())
    words = [f"{name}={shlex.quote(value)}" for name, value in sorted(exported.items())]
    if not words and not secrets:
        return ""
    export = f"export {' '.join(words)}" if words else ""
    hidden = f"{'; and ' if words else ''}this shell's {', '.join(secrets)}" if secrets else ""
    return f"\nwith the same settings: {export}{hidden}"


def _welcome(settings: Settings, demo: bool) -> str:
    host, prefix = settings.local_host, settings.topic_prefix
    program = Path(sys.argv[0])
    started_as_module = program.name == "__main__.py"
    shown = f"{sys.executable} -m goldenthread" if started_as_module else os.path.relpath(program)
    event = (
        f'{{"specversion":"1.0","id":"try-{int(time.time())}","source":"shop-web","type":"page.viewed","time":"'
        + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        + '","channel":"web","data":{"identifiers":{"email":"you@example.com"},"summary":"Tried Goldenthread"}}'
    )
    get = f"  {shown} customer get email {EXAMPLE_EMAIL if demo else 'you@example.com'}"
    send = f"  {shown} send '{event}'"
    first, second = (get, send) if demo else (send, get)
    # Commands find the processes by the same settings; the files of this folder are read there anyway.
    same = escape(same_settings(settings, os.environ))
    protected = ", ".join(protected_services(settings))
    keys = f"wanted by {protected}; commands show GOLDENTHREAD_TOKEN" if protected else "none are wanted"
    sources = "the demo's sources" if demo and settings.sources_file is None else settings.sources_file
    # The first of these addresses is the one to open in a browser.
    page = f"  page     http://{host}:{settings.lookup_port}/     open it in a browser\n" if settings.page else ""
    return f"""
[bold green]Goldenthread is ready.[/]
{page}  lookup   http://{host}:{settings.lookup_port}      one customer's context, by any identifier
  collect  http://{host}:{settings.collect_port}      events in, as CloudEvents
  admin    http://{host}:{settings.admin_port}      orders about who is who: {shown} identity
  Kafka    {settings.bootstrap_servers}             {prefix}raw.<channel> in, {prefix}context out
  sources  {sources or "none registered: every link is a claim (docs/sources.md)"}
  keys     {keys} (docs/access.md)
{same}
Try, in another terminal in this folder:
{first}
{second}
  {shown} tail interactions --from-beginning --limit 3
"""
