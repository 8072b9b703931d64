"""Files that browsers get: those of others as they were published, ours without anything inline."""

import hashlib
import re
from pathlib import Path

import pytest

from connectors.serve import page
from connectors.serve.page.rendering import Assets

FOLDER = Path(str(page.__file__)).parent
VENDORED = {
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))


def test_vendored_files_are_as_they_were_published_and_have_their_licence() -> None:
    folder = FOLDER / "static" / "vendor"
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.*")}
    assert found == VENDORED
    notice = (folder / "NOTICE").read_text()
    assert all(name in notice for name in VENDORED)
    assert "Zero-Clause BSD" in notice
    assert "The MIT License" in notice


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_that_the_content_security_policy_forbids(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|<style|hx-on|hx-vals|\|\s*safe", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"(?:src|href)=[\"']https?:", text)


def test_every_asset_that_a_template_names_exists_and_changes_its_path_with_its_content() -> None:
    assets = Assets()
    named = {name for path in TEMPLATES for name in re.findall(r"asset\('([^']+)'\)", path.read_text())}
    assert named == assets.files.keys()
    assert all(assets.version in assets.path(name) for name in named)
    with pytest.raises(KeyError):
        assets.path("other.js")
