"""Goal: a dead letter can be sent again once its cause is gone, and counts once, whatever happens meanwhile.

Method: one system collects letters of every sort under a configuration that is wrong; it is stopped, the configuration
is mended, and it is started again. Each test sends its own letters again, by the command that users have.
"""

import io
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import fastavro
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from goldenthread.commands.dead import dead
from schemas.times import format_time, parse_time
from streams.fake_registry import FakeRegistry
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.public_topics import client, tail
from tests.running_system import RunningSystem, request
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

pytestmark = pytest.mark.kafka

#: How far in the future those events lie that are only early.
EARLY_S: Final = 30
LETTERS_OF_MANY: Final = 700
#: A till's records have no time of their own, so that the one of their arrival has to stay theirs.
TILL: Final = """
version: 1
source: till
event:
  id: receipt
  type: "'receipt.printed'"
  data:
    identifiers: {{loyalty: {field}}}
    summary: concat('Receipt ', receipt)
"""
PAYMENTS: Final = """
version: 1
source: payments
event:
  id: id
  type: concat('payment.', what)
  data: {{identifiers: {{email: {field}}}}}
"""
EXPORT: Final = """
version: 1
source: export
input: {{format: csv, delimiter: ";", encoding: utf-16}}
event:
  id: number
  type: "'case.opened'"
  time: iso({field}, 'Europe/Amsterdam')
  channel: "'service'"
  data: {{identifiers: {{email: mail}}, summary: about}}
"""
SCHEMA: Final[dict[str, Any]] = {
    "type": "record", "name": "Event", "fields": [
        *({"name": name, "type": "string"} for name in ("specversion", "id", "source", "type", "time", "channel")),
        {"name": "data", "type": {"type": "record", "name": "Data", "fields": [
            {"name": "identifiers", "type": {"type": "map", "values": "string"}},
        ]}},
    ],
}  # fmt: skip


def event(number: str, email: str, at_s: float | None = None, **more: Any) -> dict[str, Any]:
    moment = time.time() - 60 if at_s is None else at_s
    return {
        "specversion": "1.0", "id": number, "source": "retry-shop", "type": "page.viewed", "channel": "web",
        "time": format_time(round(moment * 1_000_000)), "data": {"identifiers": {"email": email}}, **more,
    }  # fmt: skip


@dataclass
class Mended:
    """The system after its configuration was mended, and what the letters are about."""

    system: RunningSystem
    folder: Path
    early_until_s: float
    early: dict[str, Any]
    export: Path

    def letters(self, *filters: str) -> list[dict[str, Any]]:
        """What `dead list` says."""
        return self.dead("list", *filters, "--limit", "100000")

    def retry(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """What `dead retry` says, which has to exit with this code."""
        return self.dead("retry", *arguments, code=code)

    def dead(self, *arguments: str, code: int = 0, **settings: str) -> list[dict[str, Any]]:
        """The lines that a command prints; within this process, since a new one takes a second to start."""
        names = (name for name in os.environ if name.startswith(("GOLDENTHREAD_", "KAFKA_")))
        environment = dict.fromkeys(names) | self.system.environment | settings
        ran = CliRunner().invoke(dead, [*arguments, "--json"], env=environment, catch_exceptions=False)
        assert ran.exit_code == code, ran.output
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def count(self, kind: str, value: str) -> int:
        """How many interactions the customer has; 0 for nobody."""
        self.system.wait_quiet()
        reply = self.system.lookup((kind, value))
        return int(reply.json["context"]["interactions"]["count"]) if reply.status == 200 else 0

    def produce(self, channel: str, *records: Any, headers: Mapping[str, str] | None = None) -> None:
        """Write records to a raw topic."""
        producer = Producer(client(self.system))
        for record in records:
            value = record if isinstance(record, bytes) else json.dumps(record).encode()
            # One key, so that they keep their order.
            producer.produce(f"{self.system.prefix}raw.{channel}", value, b"k", headers=list((headers or {}).items()))
        assert producer.flush(60) == 0


def configure(folder: Path, *, right: bool) -> None:
    field = "card" if right else "kard"
    (folder / "till.yaml").write_text(TILL.format(field=field))
    (folder / "payments.yaml").write_text(PAYMENTS.format(field="payer" if right else "payed_by"))
    (folder / "export.yaml").write_text(EXPORT.format(field="day" if right else "about"))
    (folder / "sources.yaml").write_text(
        "sources:\n"
        "  till: {channel: store, mapping: till.yaml}\n"
        "  payments: {channel: billing, mapping: payments.yaml}\n"
    )


def avro(schema_id: int, given: Mapping[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(SCHEMA), dict(given))
    return b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue()


@pytest.fixture(scope="module")
def mended(
    make_system: SystemMaker, tmp_path_factory: pytest.TempPathFactory, free_ports: FreePorts
) -> Iterator[Mended]:
    folder = tmp_path_factory.mktemp("retry")
    configure(folder, right=False)
    settings = {
        "GOLDENTHREAD_SOURCES_FILE": str(folder / "sources.yaml"),
        "GOLDENTHREAD_FUTURE_TOLERANCE_SECONDS": "1",
        "GOLDENTHREAD_CHANNELS": "web,store,billing,service,app",
    }
    system = make_system("retry", **settings).start()
    export = folder / "cases.csv"
    export.write_text("number;day;mail;about\n1;2026-11-01;ann@export.example;Router\n", encoding="utf-16")
    early_until_s = time.time() + EARLY_S
    mended = Mended(system, folder, early_until_s, event("early-1", "early@shop.example", early_until_s), export)
    with FakeRegistry(free_ports(1)[0]) as registry:
        schema_id = registry.content.register("any-value", json.dumps(SCHEMA))
        _write_letters(mended, schema_id)
        wait_until(lambda: len(mended.letters()) >= LETTERS_OF_MANY + 13, "all letters")
        system.stop()
        configure(folder, right=True)
        system.environment["GOLDENTHREAD_CHANNELS"] += ",kiosk"
        system.environment["GOLDENTHREAD_SCHEMA_REGISTRY_URL"] = registry.url
        system.start()
        yield mended


def _write_letters(mended: Mended, schema_id: int) -> None:
    """Letters of every sort; fourteen, and many."""
    system, early = mended.system, mended.early
    mended.produce("web", early, event("early-2", "early-too@shop.example", mended.early_until_s))
    mended.produce("web", event("kiosk-1", "ann@kiosk.example", channel="kiosk"))
    mended.produce("web", avro(schema_id, event("avro-1", "ann@avro.example")), b"{no json")
    mended.produce("web", event("same-1", "ann@same.example"), event("same-1", "ann@same.example", type="other"))
    mended.produce("store", {"receipt": "r-1", "card": "77001"}, headers={"gt-source": "till"})
    # The same record, sent twice by a till that was told nothing: two letters, one event.
    mended.produce("store", *[{"receipt": "r-2", "card": "77002"}] * 2, headers={"gt-source": "till"})
    many = [{"receipt": f"m-{number}", "card": f"88{number:04}"} for number in range(LETTERS_OF_MANY)]
    mended.produce("store", *many, headers={"gt-source": "till"})
    hook = {"id": "p-1", "what": "made", "payer": "ann@pay.example"}
    assert request("POST", f"{system.collect_url}/v1/hooks/payments", json.dumps(hook).encode()).json["dead"] == 1
    call = {"userId": "u-1", "event": "Order Completed", "timestamp": early["time"]}
    reply = request("POST", f"{system.collect_url}/v1/track", json.dumps({**call, "messageId": "s-1"}).encode())
    assert reply.status == 200, reply.body
    around = {"context": {"library": {"name": "analytics-ios"}}}
    batch = {"batch": [{**call, "type": "track", "messageId": "s-2"}], **around}
    assert request("POST", f"{system.collect_url}/v1/batch", json.dumps(batch).encode()).status == 200
    imported = system.run("import", str(mended.export), "--mapping", str(mended.folder / "export.yaml"))
    assert imported.returncode == 1, (imported.stdout, imported.stderr)


def outcomes(retried: Sequence[Mapping[str, Any]]) -> list[str]:
    return [each["outcome"] for each in retried]


def test_a_mended_mapping_takes_what_it_refused_with_the_time_at_which_it_came(mended: Mended) -> None:
    letter = mended.letters("--source", "till")[0]
    offset = str(letter["offset"])
    assert outcomes(mended.retry(offset, "--dry-run")) == ["would_be_sent"]
    assert mended.count("loyalty", "77001") == 0
    assert outcomes(mended.retry(offset)) == ["accepted"]
    assert mended.count("loyalty", "77001") == 1
    interaction = next(each["value"] for each in tail(mended.system, "interactions") if each["value"]["id"] == "r-1")
    assert abs(parse_time(interaction["time"]) - parse_time(letter["time"])) < 5_000_000
    # Once more: it is known; and if it is sent all the same, it is a copy.
    assert outcomes(mended.retry(offset)) == ["retried_before"]
    assert outcomes(mended.retry(offset, "--again")) == ["duplicate"]
    assert mended.count("loyalty", "77001") == 1
    assert mended.letters("--source", "till")[0]["retried"]["outcome"] == "duplicate"


def test_what_a_sender_sent_twice_counts_once(mended: Mended) -> None:
    copies = [str(letter["offset"]) for letter in mended.letters("--source", "till")[1:3]]
    assert outcomes(mended.retry(*copies)) == ["accepted", "duplicate"]
    assert mended.count("loyalty", "77002") == 1


def test_each_way_in_is_taken_again(mended: Mended) -> None:
    wait_until(lambda: time.time() > mended.early_until_s, "the time of what was early")
    assert outcomes(mended.retry("--source", "payments")) == ["accepted"]
    assert mended.count("email", "ann@pay.example") == 1
    # What a message is, and what its batch says of it, is no part of the message.
    assert outcomes(mended.retry("--source", "segment", "--code", "future_time")) == ["accepted", "accepted"]
    context = mended.system.lookup(("account", "u-1")).json["context"]
    assert context["interactions"]["count"] == 2
    assert set(context["channels"]) == {"web", "app"}
    # A row of a file needs its mapping, or a registration that names it.
    (unmapped,) = mended.retry("--stage", "import", code=1)
    assert (unmapped["outcome"], "--mapping" in unmapped["reason"]) == ("not_sent", True)
    mapping = str(mended.folder / "export.yaml")
    assert outcomes(mended.retry("--stage", "import", "--mapping", mapping)) == ["accepted"]
    assert mended.count("email", "ann@export.example") == 1
    # So it is when the file is imported again.
    again = mended.system.run("import", str(mended.export), "--mapping", mapping)
    assert again.returncode == 0, again.stderr
    assert mended.count("email", "ann@export.example") == 1


def test_a_channel_and_a_schema_that_are_known_now_are_enough(mended: Mended) -> None:
    assert outcomes(mended.retry("--code", "unknown_channel", "--code", "unknown_schema")) == ["accepted"] * 2
    assert mended.count("email", "ann@kiosk.example") == mended.count("email", "ann@avro.example") == 1
    kiosk = mended.system.lookup(("email", "ann@kiosk.example")).json["context"]
    assert set(kiosk["channels"]) == {"kiosk"}


def test_an_event_whose_time_has_come_is_taken_and_one_that_came_meanwhile_is_a_copy(mended: Mended) -> None:
    wait_until(lambda: time.time() > mended.early_until_s, "the time of what was early")
    mended.system.send(mended.early)
    mended.system.wait_quiet()
    retried = mended.retry("--code", "future_time", "--source", "retry-shop")
    assert sorted(outcomes(retried)) == ["accepted", "duplicate"]
    assert mended.count("email", "early@shop.example") == mended.count("email", "early-too@shop.example") == 1


def test_what_no_retry_mends_is_told_and_not_sent(mended: Mended) -> None:
    before = len(mended.letters())
    (conflict,) = mended.retry("--code", "content_conflict", code=1)
    assert (conflict["outcome"], "stands" in conflict["reason"]) == ("not_sent", True)
    (broken,) = mended.retry("--code", "not_json", code=1)
    assert (broken["outcome"], broken["present_code"]) == ("still_wrong", "not_json")
    assert len(mended.letters()) == before
    assert mended.retry("99999999", code=1) == []


def test_what_fails_again_says_so_and_points_to_the_letter_that_it_was(mended: Mended) -> None:
    # The workers know a mapping that the one who sends does not: a record that is right here is wrong there.
    mended.produce("store", {"receipt": "x-1"}, headers={"gt-source": "till"})
    wait_until(lambda: mended.letters("--source", "till")[-1]["message"].startswith("event.data"), "the letter")
    letter = mended.letters("--source", "till")[-1]
    other = mended.folder / "other"
    other.mkdir()
    for file in mended.folder.glob("*.yaml"):
        (other / file.name).write_text(file.read_text().replace("loyalty: card", "loyalty: receipt"))
    settings = {"GOLDENTHREAD_SOURCES_FILE": str(other / "sources.yaml")}
    (retried,) = mended.dead("retry", str(letter["offset"]), code=1, **settings)
    assert (retried["outcome"], retried["present_code"]) == ("still_wrong", "no_usable_identifier")
    (new,) = mended.dead("show", str(retried["letter"]))
    assert new["retry_of"] == letter["offset"]
    listed = {each["offset"]: each["retried"] for each in mended.letters("--source", "till")}
    assert listed[letter["offset"]]["letter"] == retried["letter"]
    # From then on the new one stands for both.
    assert outcomes(mended.retry(str(letter["offset"]), str(retried["letter"]), code=1)) == [
        "retried_before",
        "still_wrong",
    ]


def test_a_retry_that_is_killed_or_runs_twice_at_once_neither_loses_nor_doubles(mended: Mended) -> None:
    system = mended.system
    # The first three are other tests' business.
    many_letters = [str(letter["offset"]) for letter in mended.letters("--source", "till")[3:]]
    command = [*system.program, "dead", "retry", *many_letters, "--json"]
    first = subprocess.Popen(command, cwd=system.folder, env=system.environment, stdout=subprocess.PIPE)
    assert first.stdout is not None
    # Its first letters are settled: of the others some are sent, and nobody has noted it.
    assert b"offset" in first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    both = [
        subprocess.Popen(
            command, cwd=system.folder, env=system.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=SYSTEM_DEADLINE_S)[0] for process in both]
    for lines in told:
        assert {json.loads(line)["outcome"] for line in lines.splitlines()} <= {
            "accepted", "duplicate", "retried_before", "still_wrong"
        }  # fmt: skip
    mended.system.wait_quiet()
    receipts = Counter(
        each["value"]["id"] for each in tail(system, "interactions") if each["value"]["source"] == "till"
    )
    many = {receipt: count for receipt, count in receipts.items() if receipt.startswith("m-")}
    assert many == {f"m-{number}": 1 for number in range(LETTERS_OF_MANY)}
    assert [mended.count("loyalty", f"88{number:04}") for number in (0, LETTERS_OF_MANY - 1)] == [1, 1]
