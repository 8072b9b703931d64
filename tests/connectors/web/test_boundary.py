"""Which requests have a line in the log, and at which level; all of them are counted."""

import logging
from typing import Any

import pytest

from connectors.web.boundary import account
from streams.metrics import Metrics

CONTEXT = "/v1/customers/{customer}/context"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("sample", "1.2.3")


def seen(metrics: Metrics, lines: list[Any], status: int, *, is_plain: bool) -> list[str]:
    """The levels of the lines of one request."""
    lines.clear()
    account(metrics, "sample", method="GET", route=CONTEXT, status=status, seconds=0.001, is_plain=is_plain)
    return [line["log_level"] for line in lines]


@pytest.mark.parametrize("status", [200, 202, 308, 404, 409, 410, 503])
def test_plain_requests_that_were_answered_as_usual_are_counted_without_a_line(
    metrics: Metrics, lines: list[Any], status: int
) -> None:
    assert seen(metrics, lines, status, is_plain=True) == []
    assert f'route="{CONTEXT}",service="sample",status="{status}"}} 1.0' in metrics.exposition().decode()


def test_plain_requests_have_lines_for_whoever_wants_to_see_everything(
    metrics: Metrics, lines: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "connectors.web.boundary")
    assert seen(metrics, lines, 200, is_plain=True) == ["debug"]


@pytest.mark.parametrize("status", [400, 413, 500])
def test_a_fault_has_a_line_however_plain_the_request(metrics: Metrics, lines: list[Any], status: int) -> None:
    assert seen(metrics, lines, status, is_plain=True) == ["info"]


@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_other_request_has_a_line(metrics: Metrics, lines: list[Any], status: int) -> None:
    assert seen(metrics, lines, status, is_plain=False) == ["info"]
