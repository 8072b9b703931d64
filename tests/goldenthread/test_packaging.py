"""The built wheel holds what a running installation needs, and its packages are ours."""

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("goldenthread", "schemas", "state", "streams", "agents", "connectors", "bench")
# Files beside the code that a running program reads.
PAGE = ROOT / "connectors" / "serve" / "page"
MAPPINGS = ROOT / "connectors" / "collect" / "mappings"
DATA = (
    "bench/sources.yaml",
    "streams/broker/kafka-4.3.0.sha256",
    *(f"bench/peers/kafka_streams/{name}.sha256" for name in ("program", "compiler")),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "bench" / "peers" / "kafka_streams").rglob("*.java")),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "state" / "native").rglob("*.rs")),
    "schemas/enrichment/free_mail_domains.txt",
    *(str(path.relative_to(ROOT)) for folder in ("static", "templates") for path in (PAGE / folder).rglob("*.*")),
    "connectors/serve/page/static/vendor/NOTICE",
    *(str(path.relative_to(ROOT)) for path in MAPPINGS.rglob("*") if path.is_file()),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "schemas" / "avro").rglob("*.avsc")),
)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_of_a_common_name_is_ours(name: str) -> None:
    assert Path(str(importlib.import_module(name).__file__)).parent == ROOT / name


def test_the_wheel_holds_code_and_data_and_no_tests_and_runs_from_elsewhere(tmp_path: Path) -> None:
    built = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    assert not [name for name in names if name.startswith(("tests/", "docs/", "state/native/built/"))]
    assert [name for name in DATA if name not in names] == []
    assert any(name.endswith("licenses/LICENSE") for name in names)
    # Imported from where it was unpacked, away from the repository, the program tells its version.
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from goldenthread.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "installed"), "version", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert '"goldenthread"' in ran.stdout
