"""`init`, `worker`, `collect`, `lookup`, `admin`: the topics, and the processes one by one.

What only one process needs is imported when that one is asked for: every other command starts faster by it.
"""

import asyncio
import os
import sys
import threading
from importlib.metadata import version
from typing import Final

from goldenthread.commands.output import JsonFlag, print_json
from goldenthread.parts import Parts, make_parts, registry_of
from goldenthread.processes.running import run_process
from goldenthread.secret import keyring
from goldenthread.settings import Settings, load_settings
from schemas.clock import SystemClock
from schemas.errors import RegistryAway
from schemas.topics import Topic
from streams.logs import configure_logs, logger
from streams.metrics import Metrics
from streams.topics import create_topics, is_empty, record_new_partitions, verify_topics, wait_for_broker

log = logger(__name__)

INIT_WAIT_SECONDS: Final = 60.0
# Of one of the lookup's threads, while another waits.
LOOKUP_TURN_SECONDS: Final = 0.0005


def _parts(client: str, settings: Settings | None = None) -> Parts:
    settings = settings or load_settings()
    configure_logs(settings.log_level)
    return make_parts(settings, client, keyring(settings))


def init(json: JsonFlag = False) -> None:
    """Make the topics that are missing, and verify those that are there. Can be run again at any time.

    Where a schema registry is configured, the Avro schemas of the public topics are registered.
    """
    parts = _parts("init")
    settings = parts.settings
    wait_for_broker(parts.kafka, INIT_WAIT_SECONDS)
    created = create_topics(parts.kafka, parts.catalogue, settings.replication)
    verify_topics(parts.kafka, parts.catalogue)
    # Only what was made just now begins at 0, or all where nothing was ever processed (an `init` that was cut short):
    # another missing offset was lost, and is nobody's to invent.
    untouched = is_empty(parts.kafka, parts.catalogue, (Topic.STATE, Topic.LINKS))
    new = {topic: count for topic, count in parts.catalogue.read_by_workers().items() if untouched or topic in created}
    record_new_partitions(parts.kafka, settings.application, new)
    schemas = _register(parts)
    if json:
        print_json({"created": created, "topics": len(parts.catalogue.specs()), **schemas})
    else:
        log.info("topics are ready", created=len(created), topics=len(parts.catalogue.specs()), **schemas)


def _register(parts: Parts) -> dict[str, int]:
    """Register the schemas of the public topics; how many, where there is a registry."""
    from streams.registry import register_public, wait_for_ids
    from streams.registry_away import Away

    client = registry_of(parts.settings)
    if client is None:
        return {}
    if parts.settings.schema_registry_away is Away.WAIT:
        return {
            "schemas": len(wait_for_ids(client, parts.catalogue, threading.Event(), timeout_s=INIT_WAIT_SECONDS) or ())
        }
    try:
        return {"schemas": len(register_public(client, parts.catalogue))}
    except RegistryAway as error:
        # The worker registers them once the registry answers.
        log.warning("the schemas are not registered", reason=str(error))
        return {"schemas": 0}


def worker(index: int | None = None) -> None:
    """Run a worker: intake, identity and context."""
    from goldenthread.processes.worker import Worker

    parts = _parts("worker", load_settings(worker_index=index))
    run_process("worker", Worker(parts).run)


def collect() -> None:
    """Run collect, the HTTP intake."""
    from connectors.collect.service import CollectOptions, run_collect
    from connectors.web.access import Role
    from goldenthread.access import make_access

    parts = _parts("collect")
    settings = parts.settings
    options = CollectOptions(
        host=settings.host,
        port=settings.collect_port,
        body_size_bytes=settings.collect_body_size_bytes_max,
        batch_events_max=settings.collect_batch_events_max,
        linger_ms=settings.collect_linger_ms,
        cors_origins=settings.cors_origins,
    )
    access = make_access(settings, Role.COLLECT)
    signatures = parts.registry.signatures(os.environ)

    async def main(_stopping: asyncio.Event) -> None:
        await run_collect(
            options,
            kafka=parts.kafka,
            catalogue=parts.catalogue,
            cleaner=parts.cleaner,
            metrics=Metrics("collect", version("goldenthread")),
            clock=SystemClock(),
            version=version("goldenthread"),
            access=access,
            registry=parts.registry,
            mappings=parts.mappings,
            signatures=signatures,
        )

    run_process("collect", main)


def lookup() -> None:
    """Run the lookup service."""
    from connectors.serve.interaction_rows import Retention
    from connectors.serve.service import LookupOptions, run_lookup
    from connectors.web.access import Role
    from goldenthread.access import make_access
    from schemas.enrichment.names import with_derived
    from state.join import JoinRules
    from streams.wire_reader import WireReader

    parts = _parts("lookup")
    settings = parts.settings
    options = LookupOptions(
        kafka=parts.kafka,
        catalogue=parts.catalogue,
        group_id=settings.application,
        data_dir=settings.data_dir,
        rules=JoinRules(parts.policy, with_derived(settings.trusted_traits)),
        version=version("goldenthread"),
        host=settings.host,
        port=settings.lookup_port,
        retention=Retention(days=settings.interactions_days),
        cache_size_bytes=settings.store_cache_size_bytes,
        access=make_access(settings, Role.LOOKUP),
        wire=WireReader(registry_of(settings)),
        page=settings.page,
    )

    # A thread writes the copy beside the one that answers. By default either waits five milliseconds for its turn while
    # the other is busy, several times in one request.
    sys.setswitchinterval(LOOKUP_TURN_SECONDS)

    async def main(_stopping: asyncio.Event) -> None:
        await run_lookup(options, parts.keyring, Metrics("lookup", version("goldenthread")))

    run_process("lookup", main)


def admin() -> None:
    """Run the admin service, which takes orders about who is who."""
    from connectors.admin.service import AdminOptions, run_admin
    from connectors.web.access import Role
    from goldenthread.access import make_access

    parts = _parts("admin")
    settings = parts.settings
    options = AdminOptions(
        kafka=parts.kafka,
        catalogue=parts.catalogue,
        data_dir=settings.data_dir,
        policy=parts.policy,
        version=version("goldenthread"),
        host=settings.host,
        port=settings.admin_port,
        access=make_access(settings, Role.ADMIN),
    )

    async def main(_stopping: asyncio.Event) -> None:
        await run_admin(options, parts.keyring, Metrics("admin", version("goldenthread")))

    run_process("admin", main)
