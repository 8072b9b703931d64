"""Goal: whoever answers on our ports is told apart, with its state and its clock. Method: small servers of our own."""

from email.utils import formatdate
from functools import partial
from importlib.metadata import version

import pytest

from goldenthread.doctor.finding import Status
from goldenthread.doctor.records import check_lag
from goldenthread.doctor.registry import check_registry
from goldenthread.doctor.services import Reply, check_clock, check_service, clock_difference_seconds
from schemas.topics import Catalogue
from streams.fake_registry import FakeRegistry
from streams.registry import register_public
from streams.registry_client import RegistryClient, RegistryOptions
from tests.conftest import FreePorts
from tests.goldenthread.doctor.conftest import Examine, Serve

READY = {"/version": (200, {"service": "lookup", "version": version("goldenthread")}), "/readyz": (200, {})}


check_lookup = partial(check_service, "lookup")


def test_a_service_that_is_not_started_is_a_warning(examine: Examine) -> None:
    (finding,) = examine(check_lookup)
    assert (finding.status, finding.action.split("(")[1][:19]) == (Status.WARNING, "goldenthread lookup")


def test_a_ready_service_is_fine(examine: Examine, serve: Serve) -> None:
    (finding,) = examine(check_lookup, lookup_port=serve(READY))
    assert finding.status is Status.OK


def test_another_program_on_the_port_is_a_problem(examine: Examine, serve: Serve) -> None:
    (finding,) = examine(check_lookup, lookup_port=serve({"/version": (200, "<html>hello")}))
    assert finding.status is Status.PROBLEM
    assert "another program" in finding.found
    assert "GOLDENTHREAD_LOOKUP_PORT" in finding.action


def test_another_service_of_ours_on_the_port_is_a_problem(examine: Examine, serve: Serve) -> None:
    answers = {"/version": (200, {"service": "collect", "version": version("goldenthread")})}
    (finding,) = examine(check_lookup, lookup_port=serve(answers))
    assert (finding.status, "Goldenthread's collect" in finding.found) == (Status.PROBLEM, True)


def test_a_service_that_wants_a_key_is_ours_all_the_same(examine: Examine, serve: Serve) -> None:
    closed = READY | {"/version": (401, {})}
    port = serve(closed, headers={"WWW-Authenticate": 'Bearer realm="goldenthread"'})
    warning, ready = examine(check_lookup, lookup_port=port)
    assert (warning.status, ready.status) == (Status.WARNING, Status.OK)
    assert warning.action.startswith("give GOLDENTHREAD_TOKEN a key of the role metrics")


def test_another_version_is_a_problem(examine: Examine, serve: Serve) -> None:
    other = READY | {"/version": (200, {"service": "lookup", "version": "0.0.9"})}
    problem, ready = examine(check_lookup, lookup_port=serve(other))
    assert (problem.status, ready.status) == (Status.PROBLEM, Status.OK)
    assert "0.0.9" in problem.found


def test_a_service_that_is_not_ready_tells_its_reasons(examine: Examine, serve: Serve) -> None:
    answers = READY | {"/readyz": (503, {"reasons": ["the broker did not answer yet"]})}
    (finding,) = examine(check_lookup, lookup_port=serve(answers))
    assert finding.status is Status.PROBLEM
    assert "the broker did not answer yet" in finding.found


@pytest.mark.parametrize(("ahead_s", "said"), [(30.0, "ahead of"), (-30.0, "behind")])
def test_a_clock_that_differs_is_told_of(examine: Examine, serve: Serve, ahead_s: float, said: str) -> None:
    (finding,) = examine(check_clock, lookup_port=serve(READY, ahead_s))
    assert finding.status is Status.WARNING
    assert said in finding.found


def test_clocks_that_agree_are_fine(examine: Examine, serve: Serve) -> None:
    (finding,) = examine(check_clock, lookup_port=serve(READY))
    assert (finding.status, finding.found) == (Status.OK, "the clocks of 1 services agree")


def test_a_header_is_no_difference_within_its_second() -> None:
    def reply(asked_at: float) -> Reply:
        return Reply(200, b"", {"Date": formatdate(1000, usegmt=True)}, asked_at, asked_at + 0.1)

    assert clock_difference_seconds(reply(1000.5)) == 0
    assert clock_difference_seconds(reply(1003.0)) == pytest.approx(-2.0)
    assert clock_difference_seconds(reply(995.0)) == pytest.approx(4.9)
    assert clock_difference_seconds(Reply(200, b"", {}, 0.0, 0.0)) is None


@pytest.mark.parametrize(("seconds", "status"), [(0, Status.OK), (60, Status.WARNING), (3600, Status.PROBLEM)])
def test_the_lag_is_the_lookups(examine: Examine, serve: Serve, seconds: float, status: Status) -> None:
    metrics = f"# TYPE goldenthread_lag_seconds gauge\ngoldenthread_lag_seconds {seconds}\n"
    (finding,) = examine(check_lag, lookup_port=serve({"/metrics": (200, metrics)}))
    assert finding.status is status


def test_a_registry_has_to_know_the_schemas(examine: Examine, free_ports: FreePorts) -> None:
    (finding,) = examine(check_registry)
    assert (finding.status, "none is configured" in finding.found) == (Status.OK, True)
    with FakeRegistry(free_ports(1)[0]) as registry:
        (finding,) = examine(check_registry, schema_registry_url=registry.url)
        assert (finding.status, finding.action) == (Status.PROBLEM, "goldenthread init registers it")
        register_public(RegistryClient(RegistryOptions(registry.url)), Catalogue())
        (finding,) = examine(check_registry, schema_registry_url=registry.url)
        assert finding.status is Status.OK
        url = registry.url
    (finding,) = examine(check_registry, schema_registry_url=url)
    assert finding.status is Status.PROBLEM
