"""The documentation says what the program has: tables are held to the code, links lead somewhere."""

import re
from enum import StrEnum
from pathlib import Path

import pytest
from prometheus_client import Counter
from typer.main import get_command

from connectors.admin import problems
from connectors.web.problems import ProblemKind
from goldenthread.cli import application
from goldenthread.commands.asyncapi import formatted, topics_of
from goldenthread.commands.config import settings_table
from goldenthread.settings import load_settings
from schemas.errors import DeadCode
from schemas.identity_policy import DEFAULT_POLICY
from schemas.topics import Catalogue, DeadHeader, Topic
from state.identity.explaining.results import Reason, SharedBy
from streams.metrics import LAG_SERVICE, WORKER_SERVICE, Metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]


def table_rows(page: str) -> list[list[str]]:
    """The cells of every table row of a page, headings included."""
    lines = (DOCS / page).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_the_configuration_table_is_the_settings_class() -> None:
    assert settings_table() in (DOCS / "configuration.md").read_text()


@pytest.mark.usefixtures("clean_environment")
def test_the_asyncapi_document_is_that_of_default_settings() -> None:
    written = (DOCS / "asyncapi.json").read_text()
    assert written == formatted(topics_of(load_settings())) + "\n", "goldenthread asyncapi > docs/asyncapi.json"


def test_the_metrics_table_is_the_metrics_module() -> None:
    # Each service leaves out what only another one measures.
    every = [Metrics(service, "0") for service in (LAG_SERVICE, WORKER_SERVICE)]
    text = "".join(metrics.exposition().decode() for metrics in every)
    meanings = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (\S+) (.*)$", text, re.MULTILINE))
    rows = {cells[0].strip("`"): cells for cells in table_rows("metrics.md") if cells[0] not in {"metric", "---"}}
    assert {name: (cells[1], cells[3]) for name, cells in rows.items()} == {
        name: (types[name], meaning) for name, meaning in meanings.items()
    }
    for metric in vars(every[0]).values():
        labels = getattr(metric, "_labelnames", ())
        if labels:
            name = metric._name + ("_total" if isinstance(metric, Counter) else "")
            assert rows[name][2] == ", ".join(labels)


def test_every_code_of_a_dead_letter_is_explained_once() -> None:
    cells = [cells[0] for cells in table_rows("dead-letters.md")]
    explained = [code for cell in cells for code in re.findall(r"`([a-z0-9_]+)`", cell) if code in set(DeadCode)]
    assert sorted(explained) == sorted(code.value for code in DeadCode)


def test_every_header_of_a_dead_letter_is_explained() -> None:
    text = (DOCS / "dead-letters.md").read_text()
    assert not [header.value for header in DeadHeader if f"`{header.value}`" not in text]


def test_every_problem_of_the_admin_service_is_explained() -> None:
    explained = {code for cells in table_rows("admin.md") for code in re.findall(r"`([a-z_]+)`", cells[0])}
    assert {kind.code for kind in vars(problems).values() if isinstance(kind, ProblemKind)} <= explained


@pytest.mark.parametrize(("heading", "words"), [("`obstacle.reason`", Reason), ("`by`", SharedBy)])
def test_the_tables_of_explanations_have_each_word_once(heading: str, words: type[StrEnum]) -> None:
    firsts = [cells[0].strip("`") for cells in table_rows("explain.md")]
    table = firsts[firsts.index(heading.strip("`")) + 2 :][: len(words)]
    assert sorted(table) == sorted(words)


def test_the_topics_table_is_the_catalogue() -> None:
    catalogue = Catalogue(channels=("<channel>",))
    specs = {spec.name.removeprefix(catalogue.prefix): spec for spec in catalogue.specs()}
    documented = {
        cells[0].strip("`"): cells[3:6] for cells in table_rows("topics.md") if cells[0] not in {"topic", "---"}
    }
    expected = {
        name: [
            str(spec.partitions),
            "compact" if spec.compact else "delete",
            "LogAppendTime" if spec.log_append_time else "CreateTime",
        ]
        for name, spec in specs.items()
    }
    assert documented == expected
    assert set(documented) == {"raw.<channel>", *Topic}


def test_the_identity_table_names_every_kind_in_order() -> None:
    cells = [cells[0] for cells in table_rows("identity.md")]
    names = {kind.name for kind in DEFAULT_POLICY.kinds}
    documented = [name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell) if name in names]
    assert documented == [kind.name for kind in DEFAULT_POLICY.kinds]


def test_every_command_stands_in_the_docs() -> None:
    text = "".join(page.read_text() for page in PAGES)
    root = get_command(application)
    missing = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        children = getattr(command, "commands", {})
        names = [f"goldenthread {name} {child}" for child in children] or [f"goldenthread {name}"]
        missing += [full for full in names if full not in text]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    broken = [
        target
        for target in targets
        if not target.startswith(("http://", "https://")) and not (page.parent / target).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:schemas|state|streams|agents|connectors|goldenthread|bench|tests)/[\w./]+)`", page.read_text()
    )
    assert not [name for name in named if not (ROOT / name).exists()]


def test_functions_and_classes_of_the_map_exist() -> None:
    text = (DOCS / "architecture.md").read_text()
    for path, name in re.findall(r"`((?:\w+/)+\w+\.py)` `([\w.]+)`", text):
        source = (ROOT / path).read_text()
        for part in name.split("."):
            assert re.search(rf"^\s*(?:class|def|async def) {part}\b", source, re.MULTILINE), f"{path} has no {name}"
