"""Rules and configuration, as promtool sees them; and every alert has its page."""

import re
import shutil
import subprocess

import pytest

from tests.dashboards.expressions import PROMETHEUS, ROOT, rules

RUNBOOK = ROOT / "docs" / "runbook"


def promtool(*arguments: str) -> None:
    """Run promtool, which has to be content."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian's package `prometheus` has it)")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed() -> None:
    promtool("check", "rules", *(str(path) for path in sorted((PROMETHEUS / "rules").iterdir())))


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-local.yml"])
def test_the_configuration_is_well_formed(name: str) -> None:
    # The token's file is there where Prometheus runs, not here.
    promtool("check", "config", "--syntax-only", str(PROMETHEUS / name))


def test_every_alert_fires_in_its_story_and_in_no_other() -> None:
    promtool("test", "rules", str(PROMETHEUS / "tests" / "alerts.yml"))


def test_every_alert_has_a_story_in_which_it_fires() -> None:
    stories = (PROMETHEUS / "tests" / "alerts.yml").read_text()
    fired = set(re.findall(r'alertname="(\w+)"', stories))
    assert fired == {rule["alert"] for rule in rules("alerts.yml")}


def test_every_alert_says_how_bad_it_is_and_has_a_page_of_what_to_do() -> None:
    pages = set()
    for rule in rules("alerts.yml"):
        assert rule["labels"]["severity"] in {"critical", "warning"}
        annotations = rule["annotations"]
        assert annotations["summary"]
        assert annotations["description"]
        page = ROOT / annotations["runbook_url"]
        text = page.read_text()
        assert text.startswith(f"# {rule['alert']}\n"), page
        for heading in ("## What it means", "## Look at", "## Do"):
            assert heading in text, page
        pages.add(page)
    assert pages == set(RUNBOOK.glob("*.md")) - {RUNBOOK / "README.md"}
