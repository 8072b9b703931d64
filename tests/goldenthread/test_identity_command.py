"""`identity` on the command line: tried before it is given, asked before it is done, shown as it is. A real service."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from goldenthread.cli import application
from goldenthread.commands import identity as command
from schemas.errors import UsageError
from schemas.messages import Order, Undo, decode_identity
from tests.connectors.admin.world import World

ANN, BOB = "email:ann@example.com", "email:bob@example.com"
PAIR = ("email", "ann@example.com", "email", "bob@example.com")
Run = Callable[..., Result]


@pytest.fixture
def world() -> Iterator[World]:
    """A served world with a worker, in a loop of its own: commands block."""
    world, loop, stop = World(), asyncio.new_event_loop(), asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        async with world.serving():
            world.show(ANN, "cookie:c-1", name="e-1")
            world.show(BOB, "cookie:c-2", name="e-2")
            started.set()
            while not stop.is_set():
                world.decide()
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(30)
    yield world
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()


@pytest.fixture
def run(world: World, clean_environment: None) -> Run:  # noqa: ARG001 - goes before.
    """Runs `identity` with these words; `typed` is what a person types, None where nobody is there."""

    def run(*words: str, typed: str | None = None) -> Result:
        def isatty() -> bool:
            return typed is not None

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "_somebody_is_there", isatty)
            return CliRunner().invoke(application, ["identity", *words, "--url", world.url], input=typed)

    return run


def written(world: World) -> list[Order | Undo]:
    messages = [decode_identity(record.value or b"") for record in world.producer.records]
    return [message for message in messages if isinstance(message, Order | Undo)]


def answer(result: Result) -> Any:
    # The service of these tests logs to the same stream.
    return json.loads(result.stdout.splitlines()[-1])


def test_a_dry_run_shows_customers_before_and_after_and_ends_well(run: Run, world: World) -> None:
    result = run("require", *PAIR, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 customers before; 1 customer after" in result.stdout
    for value in ("ann@example.com", "bob@example.com", "c-1", "c-2", "before", "after", "home", "joined"):
        assert value in result.stdout
    assert answer(run("require", *PAIR, "--dry-run", "--json"))["result"] == "dry_run"
    assert written(world) == []


def test_nobody_there_and_no_yes_shows_it_and_exits_1(run: Run, world: World) -> None:
    result = run("require", *PAIR, "--reason", "r")
    assert result.exit_code == 1
    assert "2 customers before; 1 customer after" in result.stdout
    assert "Nothing was done" in result.stderr
    assert written(world) == []


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_whoever_does_not_say_yes_has_done_nothing(run: Run, world: World, typed: str) -> None:
    assert run("require", *PAIR, "--reason", "r", typed=typed).exit_code == 1
    assert written(world) == []


def test_whoever_says_yes_has_given_it_with_reason_and_author(run: Run, world: World) -> None:
    result = run("require", *PAIR, "--author", "J. Jansen", "--id", "case-1", typed="the same person\ny\n")
    assert result.exit_code == 0, result.output
    assert "Order case-1: stands." in result.stdout
    (order,) = written(world)
    assert isinstance(order, Order)
    assert (order.reason, order.author, order.id) == ("the same person", "J. Jansen", "case-1")
    assert world.customer(ANN) == world.customer(BOB)


def test_yes_gives_it_without_a_question_and_json_is_one_answer(run: Run, world: World) -> None:
    given = answer(run("require", *PAIR, "--reason", "r", "--yes", "--json", "--id", "case-1"))
    assert (given["result"], given["order"]["standing"]) == ("given", "stands")
    # The author is whoever runs the command.
    assert given["order"]["author"]
    undone = run("undo", "case-1", "--reason", "r", "--yes")
    assert (undone.exit_code, "Order case-1: undone." in undone.stdout) == (0, True), undone.output
    assert world.customer(ANN) != world.customer(BOB)
    listed = run("orders", "email", "ann@example.com")
    assert (listed.exit_code, "undone by" in listed.stdout, "case-1" in listed.stdout) == (0, True, True)
    assert [order["id"] for order in answer(run("orders", "--json"))["orders"]] == ["case-1"]


def test_a_split_is_of_a_pair_of_one_identifier_or_of_a_source(run: Run, world: World) -> None:
    for number, words in enumerate((("cookie", "c-1"), ("--source", "shop"), (*PAIR, "--force"))):
        result = run("split", *words, "--reason", "r", "--yes", "--id", f"s-{number}")
        assert result.exit_code == 0, result.output
    orders = [message for message in written(world) if isinstance(message, Order)]
    assert [(len(order.identifiers), order.withdrawn_source) for order in orders] == [(1, ""), (0, "shop"), (2, "")]
    refused = run("split", *PAIR, "--reason", "r", "--yes")
    assert (refused.exit_code, "Nothing to split" in refused.stderr) == (1, True)


def test_namespaces_and_realms_go_with_their_identifiers(run: Run, world: World) -> None:
    words = ("forbid", "crm", "8812", "crm", "8812", "--reason", "r", "--yes", "--realm", "brand")
    assert run(*words, "--namespace", "sap").exit_code == 1
    assert run(*words, "--namespace", "sap", "--namespace", "sf", "--id", "n-1").exit_code == 0
    (order,) = written(world)
    assert isinstance(order, Order)
    named = [world.keyring.unseal(one.sealed, one.fragment) for one in order.identifiers]
    assert [(one.namespace, one.realm) for one in named] == [("sap", "brand"), ("sf", "brand")]
    found = answer(run("orders", "crm", "8812", "--namespace", "sf", "--realm", "brand", "--json"))["orders"]
    assert [one["id"] for one in found] == ["n-1"]


@pytest.mark.parametrize(
    "words",
    [
        ("split",), ("split", "email"), ("split", "cookie", "c-1", "--source", "shop"),
        ("forbid", "email", "a@b.example"), ("require", *PAIR, "cookie"), ("require", *PAIR, *PAIR),
        ("orders", *PAIR), ("forbid", *PAIR, "--yes"), ("undo", "case-1", "--yes"),
        ("forbid", *PAIR, "--namespace", "a", "--namespace", "b", "--namespace", "c"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_told_and_asks_nobody(run: Run, world: World, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert isinstance(result.exception, UsageError), result.output
    assert world.producer.records == world.producer.records[:2]


def test_problems_are_told_in_words_with_their_pointers(run: Run) -> None:
    result = run("forbid", "email", "ann@example.com", "session", "s-1", "--dry-run")
    assert result.exit_code == 1
    assert "Unusable identifier" in result.stderr
    assert "/identifiers/1" in result.stderr
    unknown = run("undo", "nobody-gave-it", "--reason", "r", "--yes")
    assert (unknown.exit_code, "No such order" in unknown.stderr) == (1, True)


def test_suspects_and_large_customers_are_listed(run: Run, world: World) -> None:
    result = run("suspects", "--sort", "fan_out")
    assert (result.exit_code, "kind" in result.stdout) == (0, True)
    assert answer(run("suspects", "--json")) == {"suspects": []}
    large = run("large", "--limit", "5")
    assert (large.exit_code, world.customer(ANN) in large.stdout) == (0, True)


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "nowhere"])
def test_an_address_at_which_no_admin_answers_is_told(url: str) -> None:
    result = CliRunner().invoke(application, ["identity", "orders", "--url", url])
    assert isinstance(result.exception, UsageError)
    assert "the admin service" in str(result.exception)
