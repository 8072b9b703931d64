"""Checks of the processes over HTTP: who answers on our ports, whether he is ready, his version and his clock."""

import http.client
import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from goldenthread.doctor.examination import Examination, Report
from goldenthread.doctor.machine import listens
from goldenthread.settings import Settings, revealed, variable_name

REQUEST_TIMEOUT_SECONDS: Final = 1.5
ANSWER_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
# A Date header is cut to whole seconds, so less than this is no difference.
CLOCK_SECONDS_MAX: Final = 2.0
#: Of any role would do for the version alone; the lag is a metric.
METRICS_TOKEN: Final = f"give {variable_name('token')} a key of the role metrics (goldenthread access make)"
#: What our services demand keys with.
_OURS: Final = 'realm="goldenthread"'
_REFUSALS: Final = frozenset({http.client.UNAUTHORIZED, http.client.FORBIDDEN})


class Service(NamedTuple):
    """One process and the setting of its port."""

    name: str
    setting: str
    port: int


class Reply(NamedTuple):
    """An answer; `json` is None where the body is none."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    asked_at: float
    answered_at: float

    @property
    def json(self) -> Any:
        """The body as JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


def services(settings: Settings) -> tuple[Service, ...]:
    """Every process that listens, with the port of these settings."""
    return (
        Service("worker", "worker_port", settings.worker_port + settings.worker_index),
        Service("collect", "collect_port", settings.collect_port),
        Service("lookup", "lookup_port", settings.lookup_port),
        Service("admin", "admin_port", settings.admin_port),
    )


def address(settings: Settings) -> str:
    """Where the services are asked: an address that they listen on, without the brackets of a URL."""
    return settings.local_host.strip("[]")


def ask(host: str, port: int, path: str, token: str | None = None) -> Reply | None:
    """One GET; None where nothing answers in HTTP."""
    connection = http.client.HTTPConnection(host, port, timeout=REQUEST_TIMEOUT_SECONDS)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    asked_at = time.time()
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read(ANSWER_SIZE_BYTES_MAX)
        return Reply(answer.status, body, dict(answer.headers.items()), asked_at, time.time())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def credential(settings: Settings) -> str | None:
    """The key that the settings have for asking services."""
    return revealed(settings.token or settings.supervisor_token)


def check_service(name: str, examination: Examination, report: Report) -> None:
    """The process answers on its port, is of this version, and is ready."""
    settings = examination.settings
    service = next(one for one in services(settings) if one.name == name)
    host, setting = address(settings), variable_name(service.setting)
    at = f"{host}:{service.port}"
    if not listens(host, service.port):
        report.warn(f"nothing listens on {at}", f"start it (goldenthread {name}, or goldenthread up)")
        return
    reply = ask(host, service.port, "/version", credential(settings))
    if reply is not None and _OURS in reply.headers.get("WWW-Authenticate", ""):
        report.warn(
            f"{name} at {at} tells its version only to whoever shows a key",
            METRICS_TOKEN,
        )
        _check_ready(host, service, report)
        return
    found = None if reply is None else reply.json
    if reply is None or not isinstance(found, dict) or found.get("service") != name:
        who = (
            f"Goldenthread's {found['service']}"
            if isinstance(found, dict) and "service" in found
            else "another program"
        )
        report.problem(f"{at} is answered by {who}, not by {name}", f"stop that one, or set {setting} to a free port")
        return
    ours = version("goldenthread")
    if found.get("version") != ours:
        report.problem(
            f"{name} at {at} runs version {found.get('version')}, this is {ours}",
            "restart it with this version; all processes have to be of one version",
        )
    _check_ready(host, service, report)


def _check_ready(host: str, service: Service, report: Report) -> None:
    reply = ask(host, service.port, "/readyz")
    if reply is not None and reply.status == http.client.OK:
        report.ok(f"ready at {host}:{service.port}")
        return
    body = None if reply is None else reply.json
    reasons = "; ".join(map(str, body.get("reasons", ()))) if isinstance(body, dict) else "no answer"
    report.problem(
        f"{service.name} at {host}:{service.port} is not ready: {reasons}",
        "it may only just have started; else look at its log",
    )


def check_clock(examination: Examination, report: Report) -> None:
    """The services' clocks agree with this machine's."""
    host = address(examination.settings)
    compared = 0
    for service in services(examination.settings):
        reply = ask(host, service.port, "/livez")
        differs = None if reply is None else clock_difference_seconds(reply)
        if differs is None:
            continue
        compared += 1
        if abs(differs) > CLOCK_SECONDS_MAX:
            ahead = "ahead of" if differs > 0 else "behind"
            report.warn(
                f"the clock of {service.name} is {abs(differs):.0f} s {ahead} this machine's",
                "synchronise the clocks (NTP): freshness and times of events are compared by them",
            )
    if not report.findings:
        report.ok(f"the clocks of {compared} services agree" if compared else "no service answers to compare with")


def clock_difference_seconds(reply: Reply) -> float | None:
    """How far the answerer's clock is ahead at the least, by its Date header; None where it has none."""
    try:
        theirs = parsedate_to_datetime(reply.headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
    # The header was made between question and answer, and stands for a whole second.
    if theirs > reply.answered_at:
        return theirs - reply.answered_at
    return min(0.0, theirs + 1.0 - reply.asked_at)


class Sample(NamedTuple):
    """What a service says of a metric; `value` is None where it says nothing or does not know yet."""

    value: float | None
    #: The service is there, and wants a key of another role than the settings have.
    refused: bool = False


def sample(settings: Settings, service_name: str, metric: str) -> Sample:
    """The sum of a metric's samples at one of the services."""
    service = next(one for one in services(settings) if one.name == service_name)
    reply = ask(address(settings), service.port, "/metrics", credential(settings))
    if reply is None or reply.status != http.client.OK:
        return Sample(None, reply is not None and reply.status in _REFUSALS)
    values = [
        found.value
        for family in text_string_to_metric_families(reply.body.decode(errors="replace"))
        for found in family.samples
        if found.name == metric and not math.isnan(found.value)
    ]
    return Sample(sum(values) if values else None)


def check_policy(examination: Examination, report: Report) -> None:
    """The worker's identity file says what the policy in force says."""
    told = sample(examination.settings, "worker", "goldenthread_identity_policy_differs")
    if told.value is None:
        report.skip(
            "whether the identity file agrees with the policy in force is a metric of the worker",
            METRICS_TOKEN if told.refused else "start the worker",
        )
    elif told.value:
        report.warn(
            "the identity file decides otherwise than the policy in force, which counts",
            f"goldenthread identity rehearse FILE, then apply it; or put {variable_name('identity_file')} back "
            "and start the worker again (docs/policy.md)",
        )
    else:
        report.ok("the identity file agrees with the policy in force")
