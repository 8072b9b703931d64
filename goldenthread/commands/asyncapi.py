"""`asyncapi`: the topics that others write to and read from, as a document for machines."""

from importlib.metadata import version
from typing import Any

import msgspec

from goldenthread.commands.output import print_text
from goldenthread.parts import catalogue_of
from goldenthread.settings import Settings, load_settings
from schemas.asyncapi import asyncapi_document


def asyncapi() -> None:
    """Print the AsyncAPI document of the topics, with the names that the settings give them."""
    print_text(formatted(topics_of(load_settings())))


def topics_of(settings: Settings) -> dict[str, Any]:
    """The document of an installation with these settings."""
    return asyncapi_document(
        catalogue_of(settings), bootstrap_servers=settings.bootstrap_servers, version=version("goldenthread")
    )


def formatted(document: Any) -> str:
    """A JSON document for people and for version control."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
