"""docs/enrichment.md lists what the enrichers look at: held to the code."""

import re
from pathlib import Path

import pytest

from schemas.enrichment import email_address, language, name, phone, utc_time
from schemas.enrichment.device import PATHS as AGENTS
from schemas.enrichment.names import DERIVED, ENRICHERS

PAGE = (Path(__file__).parents[2] / "docs" / "enrichment.md").read_text()
LISTS = {
    "phone": phone.TRAITS,
    "email": email_address.TRAITS,
    "name": name.TRAITS,
    "time": sorted(utc_time.DAYS),
    "device": [".".join(path) for path in AGENTS],
    "language": [".".join(path) for path in language.PATHS],
}


def rows(section: str) -> dict[str, list[str]]:
    """The rows of the first table after a heading, by what stands in backquotes in their first cell."""
    table = PAGE.partition(section)[2].partition("| --- |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1:-1] for line in table.splitlines()[1:]]
    return {line[0].strip(" `"): line[1:] for line in cells}


def test_every_enricher_has_its_row() -> None:
    assert tuple(rows("# Enrichment")) == ENRICHERS


@pytest.mark.parametrize("enricher", ENRICHERS)
def test_the_page_lists_what_an_enricher_looks_at(enricher: str) -> None:
    (cell,) = rows("## Lists")[enricher]
    assert re.findall(r"`([\w.]+)`", cell.partition(":")[2] if ":" in cell else cell)[-len(LISTS[enricher]) :] == list(
        LISTS[enricher]
    )


def test_the_page_lists_what_is_derived() -> None:
    derived = {trait: origin for origin, traits in DERIVED.items() for trait in traits}
    assert {trait: cells[0].strip(" `") for trait, cells in rows("**In the context**").items()} == derived
