"""What a stateful stage of this installation commits and restores by: the same for its worker and for an operator."""

from pathlib import Path

from agents.stages import STATEFUL
from goldenthread.parts import Parts
from state.store_cache import StoreCache
from streams.checkpoint_options import CheckpointOptions
from streams.metrics import Metrics


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
    )
