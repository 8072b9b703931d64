"""A real browser for tests: the machine's Chromium, driven by playwright; tests say so and skip where there is none."""

import shutil
from typing import Any, Final

import pytest

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
#: The narrowest phones.
PHONE: Final = {"width": 360, "height": 740}
DESKTOP: Final = {"width": 1280, "height": 900}
#: Text beyond this is cut off or scrolls sideways.
OVERFLOW: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def chromium() -> str:
    """The program's path; skips the test where there is none."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    found = next((path for path in map(shutil.which, _NAMES) if path is not None), None)
    if found is None:
        pytest.skip(f"no Chromium here ({', '.join(_NAMES)})")
    return found


class Complaints(list[str]):
    """What a page's console says that it should not: errors, and violations of the Content-Security-Policy."""

    def watch(self, page: Any) -> None:
        """Listen to a page of playwright's."""
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # That a page for people has the status of a refusal is no fault of the page.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.append(message.text)
