"""Segment's own SDK for Python, changed by its host alone, from a call to the customer's context."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client  # type: ignore[import-untyped]

from tests.running_system import RunningSystem
from tests.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "segment.md"

pytestmark = pytest.mark.kafka


@contextmanager
def _sdk(system: RunningSystem, **options: Any) -> Iterator[Client]:
    """The SDK as its users have it; whatever it could not send fails the test."""
    failures: list[Any] = []
    client = Client(
        "a-write-key", host=system.collect_url, on_error=lambda error, _batch: failures.append(error), **options
    )
    try:
        yield client
        client.flush()
    finally:
        client.join()
    assert not failures


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_call_of_the_sdk_reaches_the_context(system: RunningSystem, packed: bool) -> None:
    user, email = f"sg-user-{packed}", f"sg-{packed}@example.com".lower()
    with _sdk(system, gzip=packed) as sdk:
        sdk.identify(user, {"email": email, "first_name": "Ann", "plan": "pro"})
        sdk.track(user, "Order Completed", {"order_id": "sg-12", "total": 30}, context={"locale": "nl-NL"})
        sdk.page(user, "Shop", "Running shoes", {"url": "https://shop.example/p/123"})
        sdk.screen(user, "App", "Home")
        sdk.group(user, "sg-acme", {"name": "Acme", "email": "info@acme.example"})
        sdk.alias(f"{user}-before", user)
        sdk.track(user, "Refused", context={"traits": []}, timestamp=None)
    system.wait_quiet()
    answer = system.lookup(("account", user))
    assert answer.status == 200
    context = answer.json["context"]
    traits = {name: trait["value"] for name, trait in context["traits"].items()}
    assert {"email": email, "first_name": "Ann", "plan": "pro"}.items() <= traits.items()
    assert context["groups"] == {"company": ["sg-acme"]}
    assert {"kind": "order", "id": "sg-12", "status": "completed", "type": "order.completed"}.items() <= context[
        "refs"
    ][0].items()
    assert context["types"].keys() == {
        "customer.identified",
        "order.completed",
        "page.viewed",
        "screen.viewed",
        "customer.grouped",
        "customer.aliased",
        "refused",
    }
    assert context["channels"].keys() == {"web", "app"}


def test_the_program_of_the_docs_works_as_it_stands(system: RunningSystem) -> None:
    program = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    program = program.replace("http://127.0.0.1:8090", system.collect_url).replace('"u-1"', '"sg-docs"')
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    system.wait_quiet()
    assert system.lookup(("account", "sg-docs")).json["context"]["interactions"]["count"] == 2


def test_a_message_that_is_sent_again_counts_once_and_many_are_sent_at_once(system: RunningSystem) -> None:
    with _sdk(system, gzip=True, upload_size=200) as sdk:
        for number in range(500):
            sdk.track("sg-many", "Clicked", {"number": number}, message_id=f"sg-many-{number % 400}")
    system.wait_quiet()
    # The first of each id stands, its later copies say something else.
    assert system.lookup(("account", "sg-many")).json["context"]["types"]["clicked"]["interactions"] == 400


def test_a_message_that_is_nobodys_lies_in_dead(system: RunningSystem) -> None:
    with _sdk(system) as sdk:
        sdk.track("null", "Nobody Clicked", message_id="sg-nobody")

    def found() -> list[Any]:
        listed = system.run("dead", "list", "--code", "no_usable_identifier", "--json").stdout
        return [letter for letter in map(json.loads, listed.splitlines()) if letter["stage"] == "collect"]

    wait_until(found, "the dead letter")
    shown = json.loads(system.run("dead", "show", str(found()[-1]["offset"]), "--json").stdout)
    assert json.loads(shown["value"]["text"])["messageId"] == "sg-nobody"
