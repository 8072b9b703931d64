"""What one module logs, whatever other tests configured."""

from types import ModuleType
from typing import Any

import pytest
import structlog


def logged_by(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The lines that the module's `_log` writes from now on, each as its fields."""
    capture = structlog.testing.LogCapture()
    recorder = structlog.wrap_logger(None, processors=[structlog.contextvars.merge_contextvars, capture])
    monkeypatch.setattr(module, "_log", recorder)
    return capture.entries
