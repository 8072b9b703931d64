"""Check of the schema registry, where one is configured: it answers, and knows the schemas of the public topics."""

from goldenthread.doctor.examination import Examination, Report
from goldenthread.parts import registry_of
from goldenthread.settings import variable_name
from schemas.avro.public_schemas import public_schemas, subject_of


def check_registry(examination: Examination, report: Report) -> None:
    """The registry has every schema that this version writes."""
    client = registry_of(examination.settings, tries_max=1)
    if client is None:
        report.ok(f"none is configured ({variable_name('schema_registry_url')}): public topics hold JSON")
        return
    subjects = {subject_of(examination.catalogue.name(topic)): schema for topic, schema in public_schemas().items()}
    missing = [subject for subject, schema in subjects.items() if client.lookup(subject, schema.text) is None]
    if missing:
        report.problem(
            f"{client.url} does not know this version's schema of {', '.join(missing)}",
            "goldenthread init registers it",
        )
    else:
        report.ok(f"{client.url} knows the schemas of {len(subjects)} public topics")
