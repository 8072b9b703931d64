"""What `identity` shows people: what an order does or would do, orders, suspicious identifiers, problems."""

from collections.abc import Iterator, Mapping
from typing import Any

from goldenthread.commands.output import ERR, OUT
from goldenthread.commands.tables import shown, table


def show_dry_run(answer: Mapping[str, Any]) -> None:
    """What an order, or its undo, would do, customer by customer."""
    for line in answer["words"]:
        OUT.print(shown(line))
    moves = answer["moves"]
    if moves["identifiers_moved"]:
        for word in ("before", "after"):
            OUT.print(table(("", "customer", "role", "kind", "value", "grade"), _customers(moves, word)))
    if answer["decision_counts"]:
        decisions = ", ".join(f"{name} {count}" for name, count in answer["decision_counts"].items())
        OUT.print(shown(f"Decisions: {decisions}"))


def show_done(answer: Mapping[str, Any]) -> None:
    """What an order, or its undo, did; the customers were shown before."""
    order = answer["order"]
    OUT.print(shown(f"Order {order['id']}: {order['standing']}."))
    for line in answer["words"]:
        OUT.print(shown(line))
    repair = answer.get("repair")
    if repair is not None:
        OUT.print(shown(f"The repair {repair['run']} is at {repair['share']:.0%}, {repair['moved']} moved so far."))


def show_orders(answer: Mapping[str, Any]) -> None:
    """Orders, newest first."""
    columns = ("id", "order", "of", "standing", "author", "time", "reason")
    rows = [
        (
            order["id"],
            order["order"],
            _of(order),
            _standing(order),
            order["author"],
            f"{order['time'][:19]}Z",
            order["reason"],
        )
        for order in answer["orders"]
    ]
    OUT.print(table(columns, rows, unfolded=frozenset({"id", "order", "time"})))
    if answer["next"] is not None:
        OUT.print("There are older ones: --limit.")


def show_suspects(answer: Mapping[str, Any]) -> None:
    """Identifiers that look like several people's."""
    columns = ("kind", "value", "role", "customers", "neighbours", "conflicts", "why")
    rows = [
        (
            one["identifier"]["kind"],
            one["identifier"].get("value"),
            one["role"],
            one["customers"],
            one["neighbours"],
            one["conflicts"],
            "; ".join(one["why"]),
        )
        for one in answer["suspects"]
    ]
    OUT.print(table(columns, rows))


def show_large_customers(answer: Mapping[str, Any]) -> None:
    """Customers of most identifiers."""
    columns = ("customer", "identifiers", "joined", "home", "kinds")
    rows = [
        (
            one["customer"],
            one["identifiers"],
            one["joined"],
            f"{one['home']['kind']} {one['home'].get('value', '(not shown)')}",
            ", ".join(f"{kind} {count}" for kind, count in one["kinds"].items()),
        )
        for one in answer["customers"]
    ]
    OUT.print(table(columns, rows, unfolded=frozenset({"customer"})))


def show_problem(problem: Any) -> None:
    """Why the service did not do it."""
    if not isinstance(problem, Mapping) or "title" not in problem:
        ERR.print(shown(problem))
        return
    ERR.print(shown(f"{problem['title']}: {problem['detail']}"))
    for fault in problem.get("errors", ()):
        ERR.print(shown(f"  {fault['pointer'] or '/'}: {fault['detail']}"))
    if "id" in problem:
        ERR.print(shown(f"  send it again with --id {problem['id']}"))


def _customers(moves: Mapping[str, Any], word: str) -> Iterator[tuple[Any, ...]]:
    for customer in moves[word]:
        name = customer["customer"]
        members = customer["members"]
        for number, member in enumerate(members):
            first = word if number == 0 else ""
            yield first, name if number == 0 else "", member["role"], *_member(member)
        if customer["identifiers"] > len(members):
            hidden = customer["identifiers"] - len(members)
            yield "" if members else word, "" if members else name, "", "", f"and {hidden} that are not shown", ""
    left_out = moves[f"customers_{word}"] + moves[f"shared_{word}"] - len(moves[word])
    if left_out:
        yield word, f"and {left_out} more", "", "", "", ""


def _member(member: Mapping[str, Any]) -> tuple[Any, ...]:
    return member["kind"], member["value"], member.get("grade")


def _of(order: Mapping[str, Any]) -> str:
    if "source" in order:
        return f"source {order['source']}"
    named = (f"{one['kind']} {one.get('value', '(not shown)')}" for one in order.get("identifiers", ()))
    return " and ".join(named)


def _standing(order: Mapping[str, Any]) -> str:
    if "undone" in order:
        return f"undone by {order['undone']['author']}"
    if "overruled_by" in order:
        return f"overruled by {order['overruled_by']}"
    return str(order["standing"])
