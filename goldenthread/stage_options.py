"""What a stateful stage of this installation commits and restores by: the same for its worker and for an operator."""

from pathlib import Path

from agents import context
from agents.stages import STATEFUL
from goldenthread.folding import compiled_library, wanted_library
from goldenthread.parts import Parts
from schemas.enrichment.names import with_derived
from schemas.identity_policy import Policy
from state.store_cache import StoreCache
from streams.checkpoint_options import CheckpointOptions
from streams.metrics import Metrics
from streams.partition import EngineFactory


def stage_options(
    parts: Parts, stage: str, *, data_dir: Path, metrics: Metrics, cache: StoreCache
) -> CheckpointOptions:
    """The options of one stage, whose stores lie in `data_dir`; no fault plan, and JSON as the wire form."""
    return CheckpointOptions(
        kafka=parts.kafka,
        catalogue=parts.catalogue,
        application=parts.settings.application,
        stage=stage,
        input_topic=STATEFUL[stage].input_topic,
        changelog_topic=STATEFUL[stage].changelog,
        data_dir=data_dir,
        secret_fingerprint=parts.keyring.fingerprint,
        metrics=metrics,
        cache=cache,
        library=wanted_library(parts.settings.native),
        held_size_bytes_max=STATEFUL[stage].held_size_bytes_max,
    )


def context_factory(parts: Parts, metrics: Metrics, *, first_policy: Policy | None = None) -> EngineFactory:
    """What makes the context stage's engines; `first_policy` is the installation's first one."""
    settings = parts.settings
    return context.context_engines(
        catalogue=parts.catalogue,
        keyring=parts.keyring,
        policy=parts.policy,
        first_policy=first_policy,
        trusted_traits=with_derived(settings.trusted_traits),
        horizon_days=settings.dedupe_horizon_days,
        cached_rows_max=settings.cached_fragments_max,
        cached_size_bytes_max=settings.cached_fragments_size_bytes_max,
        library=compiled_library(settings.native, context.STAGE),
        metrics=metrics,
    )
