"""A real file with nothing but the shipped mapping: the complaints of the BPI Challenge 2016."""

import csv
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from schemas.document import canonical_bytes
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.public_topics import DeadTopic, tail
from tests.running_system import RunningSystem, request

pytestmark = pytest.mark.kafka

ROOT: Final = Path(__file__).parents[2]
MAPPING: Final = ROOT / "connectors" / "collect" / "mappings" / "complaints.yaml"
ENCODING: Final = "iso-8859-1"
CUSTOMERS: Final = 226
COMPLAINTS: Final = 289


@pytest.fixture
def complaints() -> Path:
    given = os.environ.get("COMPLAINTS_CSV")
    path = Path(given) if given else ROOT.parent / "shared" / "data" / "bpic16" / "complaints.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here; COMPLAINTS_CSV gives the path of the file")
    return path


def import_file(system: RunningSystem, path: Path) -> None:
    """Import it, which has to leave nothing behind."""
    imported = system.run("import", str(path), "--mapping", str(MAPPING), "--json")
    assert imported.returncode == 0, imported.stderr
    result = json.loads(imported.stdout)
    assert (result["rows"], result["accepted"], result["dead"]) == (COMPLAINTS, COMPLAINTS, 0)
    system.wait_quiet()


def contexts_of(system: RunningSystem, customers: set[str]) -> dict[str, dict[str, Any]]:
    """Each customer's context, which has to be there."""
    contexts = {}
    for customer in customers:
        answer = system.lookup(("crm", customer))
        assert answer.status == 200
        contexts[customer] = answer.json["context"]
    return contexts


@pytest.mark.timeout(600)
def test_complaints_become_226_contexts_and_289_interactions_the_same_twice_and_backwards(
    complaints: Path, make_system: SystemMaker, tmp_path: Path
) -> None:
    with complaints.open(encoding=ENCODING, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    customers = {row["CustomerID"] for row in rows}
    assert (len(customers), len(rows)) == (CUSTOMERS, COMPLAINTS)
    with make_system("complaints").start() as system:
        import_file(system, complaints)
        contexts = contexts_of(system, customers)
        once = {customer: canonical_bytes(context) for customer, context in contexts.items()}
        assert len({context["customer"] for context in contexts.values()}) == CUSTOMERS
        assert DeadTopic(system, from_beginning=True).new() == []

        # Each complaint with its theme and its dossier, as an interaction of its customer.
        interactions: dict[str, Any] = {}
        for context in contexts.values():
            page = request("GET", f"{system.lookup_url}/v1/customers/{context['customer']}/interactions").json
            interactions |= {one["id"]: one for one in page["interactions"]}
        assert interactions.keys() == {row["ComplaintID"] for row in rows}
        for row in rows:
            assert interactions[row["ComplaintID"]]["data"]["theme"]["en"] == row["ComplaintTheme_EN"]
            refs = {(ref["kind"], ref["id"]) for ref in contexts[row["CustomerID"]]["refs"]}
            assert ("dossier", row["ComplaintDossierID"]) in refs

        # Again: not one byte changes.
        import_file(system, complaints)
        again = contexts_of(system, customers)
        assert {customer: canonical_bytes(context) for customer, context in again.items()} == once
        assert len(list(tail(system, "interactions"))) == COMPLAINTS
        assert system.stop() == 0

    # Backwards, into a system that knows nothing.
    header, *lines = complaints.read_bytes().splitlines(keepends=True)
    backwards = tmp_path / "backwards.csv"
    backwards.write_bytes(header + b"".join(line.rstrip(b"\r\n") + b"\n" for line in reversed(lines)))
    with make_system("backwards").start() as system:
        import_file(system, backwards)
        reversed_contexts = contexts_of(system, customers)
        assert {customer: canonical_bytes(context) for customer, context in reversed_contexts.items()} == once
        assert system.stop() == 0
