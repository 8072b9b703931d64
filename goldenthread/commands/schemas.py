"""`schemas list|show|register|check`: the Avro schemas of the public topics, here and in the registry.

What reads Avro is imported by the commands that need it: it takes a while to load.
"""

import json as json_text
import sys
from typing import Annotated, Any

import typer

from goldenthread.commands.output import OUT, JsonFlag, print_json, print_text
from goldenthread.commands.tables import shown, table
from goldenthread.parts import catalogue_of, registry_of
from goldenthread.settings import Settings, load_settings
from schemas.avro.public_schemas import public_schemas, released_schemas, subject_of
from schemas.errors import EXIT_PROBLEMS_FOUND, UsageError
from schemas.topics import Topic
from streams.logs import configure_logs
from streams.registry_client import URL_SETTING, RegistryClient

schemas = typer.Typer(no_args_is_help=True, help="The Avro schemas of the public topics.")


@schemas.command("list")
def list_(json: JsonFlag = False) -> None:
    """List the public topics with their subjects, and with their ids where a registry is configured."""
    settings = _settings()
    client, catalogue = registry_of(settings), catalogue_of(settings)
    rows = []
    for topic, public in public_schemas().items():
        subject = subject_of(catalogue.name(topic))
        row: dict[str, Any] = {
            "topic": catalogue.name(topic),
            "subject": subject,
            "record": f"{public.schema['namespace']}.{public.schema['name']}",
            "id": None if client is None else client.lookup(subject, public.text),
        }
        rows.append(row)
    if json:
        print_json(rows)
        return
    columns = ("topic", "subject", "record", "id")
    OUT.print(table(columns, ([row[column] for column in columns] for row in rows)))
    if client is None:
        OUT.print(shown(f"No registry is configured ({URL_SETTING}): public topics hold JSON."))


@schemas.command()
def show(
    topic: Annotated[str, typer.Argument(help="context, interactions, context.changes or identity.changes.")],
) -> None:
    """Print the Avro schema of a public topic."""
    from connectors.serve.tail import public_topic

    catalogue = catalogue_of(_settings())
    name = public_topic(catalogue, topic)
    public = public_schemas()[Topic(name.removeprefix(catalogue.prefix))]
    print_text(json_text.dumps(public.schema, indent=2, ensure_ascii=False))


@schemas.command()
def register(json: JsonFlag = False) -> None:
    """Register the schemas, as `init` does. Can be run again at any time."""
    from streams.registry import register_public

    settings = _settings()
    catalogue = catalogue_of(settings)
    ids = {
        subject_of(catalogue.name(topic)): each
        for topic, each in register_public(_registry(settings), catalogue).items()
    }
    if json:
        print_json(ids)
    else:
        OUT.print(table(("subject", "id"), ids.items()))


@schemas.command()
def check(json: JsonFlag = False) -> None:
    """Hold the schemas against every released version, and against the registry where one is configured."""
    from schemas.avro.compatibility import Level, differences

    settings = _settings()
    client, catalogue = registry_of(settings), catalogue_of(settings)
    problems = []
    for topic, public in public_schemas().items():
        subject = subject_of(catalogue.name(topic))
        olds = [released[topic].schema for released in released_schemas().values() if topic in released]
        found = [f"a released version: {each}" for each in differences(public.schema, olds, Level.FULL_TRANSITIVE)]
        if client is not None and client.lookup(subject, public.text) is None:
            found += [f"the registry: {each}" for each in client.incompatibilities(subject, public.text)]
            found.append("the registry does not have it: goldenthread schemas register")
        problems += [{"subject": subject, "problem": each} for each in found]
    if json:
        print_json({"problems": problems})
    else:
        for each in problems:
            OUT.print(shown(f"{each['subject']}: {each['problem']}"))
        OUT.print(shown(f"{len(public_schemas())} schemas, {len(problems)} problems"))
    if problems:
        sys.exit(EXIT_PROBLEMS_FOUND)


def _settings() -> Settings:
    settings = load_settings()
    configure_logs("WARNING")
    return settings


def _registry(settings: Settings) -> RegistryClient:
    client = registry_of(settings)
    if client is None:
        raise UsageError(f"no schema registry is configured: set {URL_SETTING}")
    return client
