"""What processes are put together from, each made from the settings: the composition root's parts."""

import dataclasses

import msgspec

from goldenthread.settings import Settings, file_of, revealed
from schemas.cleaning import Cleaner
from schemas.identity_policy import DEFAULT_POLICY, Policy
from schemas.keys import Keyring
from schemas.mapping import MappingSet, load_mappings
from schemas.policy_file import load_policy
from schemas.sources import SourceRegistry, load_sources
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions
from streams.registry_client import RegistryClient, RegistryOptions


class Parts(msgspec.Struct, frozen=True):
    """All that several processes need, read and verified."""

    settings: Settings
    kafka: KafkaOptions
    catalogue: Catalogue
    policy: Policy
    registry: SourceRegistry
    mappings: MappingSet
    keyring: Keyring
    cleaner: Cleaner


def catalogue_of(settings: Settings) -> Catalogue:
    """The topics of this installation."""
    return Catalogue(settings.topic_prefix, settings.partitions, settings.channels)


def kafka_of(settings: Settings, client: str) -> KafkaOptions:
    """How this process's clients are made."""
    return KafkaOptions(
        settings.bootstrap_servers, client_id=f"{settings.application}-{client}", security=settings.kafka_security
    )


def registry_of(settings: Settings, *, tries_max: int | None = None) -> RegistryClient | None:
    """The client of the schema registry; None where none is configured.

    Raises:
        SettingError: its certificates can't be read.
    """
    if settings.schema_registry_url is None:
        return None
    options = RegistryOptions(
        settings.schema_registry_url,
        settings.schema_registry_user,
        revealed(settings.schema_registry_password),
        file_of(settings, "schema_registry_ca_file"),
    )
    return RegistryClient(options if tries_max is None else dataclasses.replace(options, tries_max=tries_max))


def make_parts(settings: Settings, client: str, keyring: Keyring) -> Parts:
    """Read and verify everything that is given in files.

    Raises:
        SettingError: a file, key or value is wrong; the message names it.
    """
    catalogue = catalogue_of(settings)
    policy = DEFAULT_POLICY if (path := file_of(settings, "identity_file")) is None else load_policy(path)
    registry = SourceRegistry() if (path := file_of(settings, "sources_file")) is None else load_sources(path)
    registry.verify(catalogue.channels)
    return Parts(
        settings=settings,
        kafka=kafka_of(settings, client),
        catalogue=catalogue,
        policy=policy,
        registry=registry,
        mappings=load_mappings(registry),
        keyring=keyring,
        cleaner=_cleaner(settings, policy, registry, catalogue, keyring),
    )


def governed(parts: Parts, policy: Policy) -> Parts:
    """The parts under another policy than the file's: the one in force."""
    cleaner = _cleaner(parts.settings, policy, parts.registry, parts.catalogue, parts.keyring)
    return msgspec.structs.replace(parts, policy=policy, cleaner=cleaner)


def _cleaner(
    settings: Settings, policy: Policy, registry: SourceRegistry, catalogue: Catalogue, keyring: Keyring
) -> Cleaner:
    return Cleaner(
        policy=policy,
        registry=registry,
        keyring=keyring,
        channels=catalogue.channels,
        future_tolerance_seconds=settings.future_tolerance_seconds,
    )
