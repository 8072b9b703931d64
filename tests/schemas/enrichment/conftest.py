"""All enrichers, made once: their libraries take a while to load, and none of them remembers anything."""

import pytest

from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import Enricher
from schemas.enrichment.registry import REGISTRY


@pytest.fixture(scope="session")
def enrichers() -> dict[EnricherName, Enricher]:
    return {name: make() for name, make in REGISTRY.items()}


@pytest.fixture(scope="session")
def enrichment() -> Enrichment:
    return Enrichment()
