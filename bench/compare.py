"""The lookup against the oracle: every customer asked for by every identifier, every field compared."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from bench.oracle.expectation import Expectation, ExpectedCustomer, SharedIdentifier
from schemas.errors import BrokerUnreachable, RestartNeeded

LOOKUP_PATH: Final = "/v1/lookup"
LAG_HEADER: Final = "Goldenthread-Lag-Seconds"
MATCH_HEADER: Final = "Goldenthread-Match"
# Fields of a document that the oracle can't know: they hang on a secret and on how often a context was published.
_NOT_COMPARED: Final = ("customer", "version", "settling")
#: An identifier that no event ever named.
UNKNOWN: Final = ("email", "nobody-at-all@nowhere.example")
CONCURRENT_REQUESTS_MAX: Final = 16
DEADLINE_SECONDS: Final = 300.0
DIFFERENCES_SHOWN_MAX: Final = 20
_CANDIDATES_MAX: Final = 5
_POLL_SECONDS: Final = 0.25
_REQUEST_TIMEOUT_SECONDS: Final = 30.0
_VALUE_SHOWN_MAX: Final = 200
_ABSENT: Final = "nothing"


@dataclass(slots=True)
class Report:
    """What the comparison found."""

    customers: int = 0
    lookups: int = 0
    shared: int = 0
    #: Customers with at least one difference.
    differing: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether the lookup says all that the oracle says, and nothing else."""
        return not self.differences

    def lines(self) -> Iterator[str]:
        """The report for people."""
        for difference in self.differences[:DIFFERENCES_SHOWN_MAX]:
            yield f"  {difference}"
        if len(self.differences) > DIFFERENCES_SHOWN_MAX:
            yield f"  and {len(self.differences) - DIFFERENCES_SHOWN_MAX} more"
        verdict = "all agree" if self.agrees else f"{self.differing} differ, in {len(self.differences)} places"
        yield f"{self.customers} customers and {self.shared} shared identifiers by {self.lookups} lookups: {verdict}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A lookup's answer: its status, the headers that matter, and its JSON."""

    status: int
    match: str
    lag_seconds: float | None
    body: dict[str, Any]

    @property
    def document(self) -> dict[str, Any]:
        """The context in the answer; empty where there is none."""
        context = self.body.get("context")
        return context if isinstance(context, dict) else {}


class Lookup:
    """The lookup service, asked with a bounded number of requests at a time."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, *, requests_max: int = CONCURRENT_REQUESTS_MAX
    ) -> None:
        self._session = session
        self._url = base_url.rstrip("/") + LOOKUP_PATH
        self._slots = asyncio.Semaphore(requests_max)
        self.asked = 0

    async def ask(self, kind: str, value: str) -> Answer:
        """The answer for one identifier."""
        async with (
            self._slots,
            self._session.post(self._url, json={"identifiers": [{"kind": kind, "value": value}]}) as response,
        ):
            self.asked += 1
            body = await response.json(content_type=None)
            lag = response.headers.get(LAG_HEADER)
            match = response.headers.get(MATCH_HEADER, "")
            return Answer(response.status, match, None if lag is None else float(lag), body or {})

    async def caught_up(self, deadline: float) -> None:
        """Wait until nothing waits anywhere.

        Raises:
            RestartNeeded: the deadline (of the monotonic clock) passed; the message has the last answer.
        """
        last = "no answer"
        while time.monotonic() < deadline:
            try:
                answer = await self.ask(*UNKNOWN)
                last = f"{answer.status} with {LAG_HEADER} {answer.lag_seconds}"
                if answer.status != 503 and answer.lag_seconds == 0:
                    return
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                last = str(error) or type(error).__name__
            await asyncio.sleep(_POLL_SECONDS)
        raise RestartNeeded(f"{self._url} did not catch up in time; the last answer: {last}")


async def compare(
    expectation: Expectation,
    lookup_url: str,
    deadline_seconds: float = DEADLINE_SECONDS,
    *,
    wait: bool = True,
    requests_max: int = CONCURRENT_REQUESTS_MAX,
) -> Report:
    """Wait until the lookup has caught up, then compare all of it with the expectation.

    Args:
        expectation: what `bench.oracle.expect` gave.
        lookup_url: such as `http://127.0.0.1:8080`.
        deadline_seconds: how long the lookup may take to catch up.
        wait: False compares at once, whatever the lag.
        requests_max: how many requests are under way at one time.

    Raises:
        RestartNeeded: the lookup did not catch up in time, or went away in between.
    """
    timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        lookup = Lookup(session, lookup_url, requests_max=requests_max)
        if wait:
            await lookup.caught_up(time.monotonic() + deadline_seconds)
        try:
            return await _compare_all(expectation, lookup)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise BrokerUnreachable(f"{lookup_url} went away or gave no JSON: {error}") from error


async def _compare_all(expectation: Expectation, lookup: Lookup) -> Report:
    found = await asyncio.gather(*(_compare_customer(customer, lookup) for customer in expectation.customers))
    ids = [customer for customer, _ in found]
    of_shared = await asyncio.gather(*(_compare_shared(one, ids, lookup) for one in expectation.shared))
    report = Report(customers=len(expectation.customers), shared=len(expectation.shared))
    known = [customer for customer in ids if customer]
    twice = sorted({customer for customer in known if known.count(customer) > 1}) if _has_twins(known) else []
    unknown = await lookup.ask(*UNKNOWN)
    found_at_all = [] if unknown.status == 404 else [f"{UNKNOWN}: status {unknown.status}, expected 404"]
    report.differing = sum(bool(differences) for _, differences in found) + sum(map(bool, of_shared))
    report.differences = [
        *(line for _, differences in found for line in differences),
        *(line for differences in of_shared for line in differences),
        *(f"customer {customer} is several customers in the expectation" for customer in twice),
        *found_at_all,
    ]
    report.lookups = lookup.asked
    return report


def _has_twins(ids: list[str]) -> bool:
    return len(set(ids)) < len(ids)


async def _compare_customer(customer: ExpectedCustomer, lookup: Lookup) -> tuple[str, list[str]]:
    """The customer's id as the lookup has it (empty if it has none), and the differences."""
    answers = await asyncio.gather(*(lookup.ask(kind, value) for kind, value in customer.members))
    differences: list[str] = []
    ids = set()
    compared: dict[str, dict[str, Any]] = {}
    for (kind, value), answer in zip(customer.members, answers, strict=True):
        name = f"{kind}:{value}"
        expected_status = 200 if customer.homes else 404
        if answer.status != expected_status:
            differences.append(f"{name}: status {answer.status}, expected {expected_status}")
            continue
        if not customer.homes:
            continue
        document = answer.document
        ids.add(str(document.get("customer")))
        home = _home_of(document)
        expected = customer.homes.get(home)
        if expected is None:
            differences.append(f"{name}: home is {home}, expected one of {', '.join(customer.homes)}")
            continue
        match = f"{kind}; {expected.grades[name]}; {expected.level}"
        if answer.match != match:
            differences.append(f"{name}: {MATCH_HEADER} is {answer.match!r}, expected {match!r}")
        if document not in compared.values():
            differences += [f"{name}: {line}" for line in document_differences(expected.document, document)]
            compared[name] = document
    if len(ids) > 1:
        members = ", ".join(f"{kind}:{value}" for kind, value in customer.members)
        differences.append(f"{members}: {len(ids)} customers, expected one")
    return (ids.pop() if len(ids) == 1 else ""), differences


async def _compare_shared(shared: SharedIdentifier, ids: list[str], lookup: Lookup) -> list[str]:
    name = f"{shared.kind}:{shared.value}"
    answer = await lookup.ask(shared.kind, shared.value)
    if answer.status != 409 or answer.body.get("code") != "identifier_shared":
        return [f"{name}: {answer.status} {answer.body.get('code', '')}, expected 409 identifier_shared"]
    candidates = answer.body.get("candidates", [])
    possible = {ids[place] for place in shared.candidates if ids[place]}
    # A neighbour without events is a customer whose id nobody can know from outside.
    nameless = sum(not ids[place] for place in shared.candidates)
    foreign = [candidate for candidate in candidates if candidate not in possible]
    differences = []
    if len(foreign) > nameless:
        differences.append(f"{name}: candidates {foreign} are none of its neighbours' customers")
    if len(candidates) > _CANDIDATES_MAX or (possible and not candidates):
        differences.append(f"{name}: {len(candidates)} candidates, expected 1 to {_CANDIDATES_MAX}")
    return differences


def _home_of(document: dict[str, Any]) -> str:
    homes = [one for one in document.get("identifiers", []) if one.get("role") == "home"]
    return f"{homes[0]['kind']}:{homes[0]['value']}" if len(homes) == 1 else f"{len(homes)} identifiers"


def document_differences(expected: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Where a document differs, one line each, with a JSON pointer. Identifiers are compared in any order."""
    actual = {name: value for name, value in document.items() if name not in _NOT_COMPARED}
    return list(_differences(_in_order(expected), _in_order(actual), ""))


def _in_order(document: dict[str, Any]) -> dict[str, Any]:
    identifiers = sorted(document.get("identifiers", []), key=lambda one: (one.get("kind"), one.get("value")))
    groups = {kind: sorted(values) for kind, values in document.get("groups", {}).items()}
    return document | {"identifiers": identifiers, "groups": groups}


def _differences(expected: Any, actual: Any, pointer: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in sorted(expected.keys() | actual.keys()):
            yield from _differences(expected.get(name, _ABSENT), actual.get(name, _ABSENT), f"{pointer}/{name}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for place, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from _differences(one, other, f"{pointer}/{place}")
    elif expected != actual:
        yield f"{pointer} is {_shown(actual)}, expected {_shown(expected)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_SHOWN_MAX else text[:_VALUE_SHOWN_MAX] + "…"
