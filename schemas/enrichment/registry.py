"""Every enricher by its name. Making one loads the library behind it, and what that reads from its files."""

from collections.abc import Callable, Mapping
from typing import Final

from schemas.enrichment import device, email_address, language, name, phone, utc_time
from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import Enricher

REGISTRY: Final[Mapping[EnricherName, Callable[[], Enricher]]] = {
    EnricherName.PHONE: phone.enricher,
    EnricherName.EMAIL: email_address.enricher,
    EnricherName.NAME: name.enricher,
    EnricherName.TIME: utc_time.enricher,
    EnricherName.DEVICE: device.enricher,
    EnricherName.LANGUAGE: language.enricher,
}
