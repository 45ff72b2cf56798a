"""The gateway against a real exchange over HTTP: faults on, both sides killed."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import httpx
import msgspec
import pytest

from agents.trading.records import VenueOrder
from gateways import limits
from gateways.order_records import command_of
from gateways.rest_venue import RestVenue
from headrace.gateway import Absent, Command, GatewayRules, Known, NotSent, Page, Refused
from schemas import topics as t
from tests.gateway_fakes import Doom, KafkaLog, KilledError, adopt, new_processor, order, part
from tests.integration.exchange_process import SECRET, ExchangeProcess

PLACE = (t.VENUE_ORDER.name, 0)
ORDERS = [order(number) for number in range(60)]
RULES = GatewayRules(parallel_max=8, age_s_max=600.0, reconcile_s=3.0)
FAULTS = (
    "drop_request=0.1,drop_reply=0.1,fail_before=0.1,fail_after=0.1,delay=0.1,hang=0.03,"
    "duplicate=0.5,reorder=0.5"
)
WAIT_S = 240.0
PATIENCE_S = 60.0


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    with ExchangeProcess(tmp_path) as running:
        yield running


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for answers, where a test is not about waiting: no machine is always idle."""
    for name in ("CONNECT", "READ", "WRITE", "POOL", "CALL"):
        monkeypatch.setattr(limits, f"{name}_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def venue(exchange: ExchangeProcess) -> Iterator[RestVenue]:
    client = exchange.client()
    yield client
    client.close()


def command(number: int) -> Command:
    return command_of(msgspec.structs.asdict(order(number)), ())


def soon_ns() -> int:
    return time.time_ns() + int(PATIENCE_S * 1e9)


def work(
    log: KafkaLog, venue: RestVenue, orders: Sequence[VenueOrder], doom: Doom | None = None
) -> None:
    """Be the owner of the partition until every order has ended, or the doom comes."""
    processor, _, _ = new_processor(log, venue, doom=doom, rules=RULES)
    try:
        first = adopt(processor, 0).get(PLACE, 0)
        waiting = orders[first:]
        parts = [part(waiting, time.time_ns(), first=first)] if waiting else []
        processor.process(parts, [], {PLACE: len(orders)})
        deadline_s = time.monotonic() + WAIT_S
        while len(log.ended()) < len(orders):
            assert time.monotonic() < deadline_s, log.ended()
            processor.idle()
    finally:
        processor.close()


def agree(exchange: ExchangeProcess, log: KafkaLog, orders: Sequence[VenueOrder]) -> None:
    """Fail unless what was reported is what the exchange has, each order's end exactly once."""
    exists, said = exchange.orders(), exchange.reports()
    assert exchange.placements_max() == 1
    assert log.ended() == {each.client_order_id: 1 for each in orders}
    for identity, sequences in log.sequences().items():
        kinds = [row["kind"] for row in log.reports if row["client_order_id"] == identity]
        assert sequences == list(range(1, len(sequences) + 1))
        if exists.get(identity, False):
            assert kinds == said[identity]
        else:
            assert kinds == ["REJECTED"]
            assert identity not in said


@pytest.mark.usefixtures("patience")
def test_orders_are_placed_filled_and_reported(exchange: ExchangeProcess, venue: RestVenue) -> None:
    log = KafkaLog()

    work(log, venue, ORDERS)

    agree(exchange, log, ORDERS)
    # On a busy machine the lease of some lapses: those are rejected.
    assert any(exchange.orders().values())
    assert {"ACKNOWLEDGED", "FILLED"} <= {row["kind"] for row in log.reports}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bad_line_and_killed_processes_double_no_order(tmp_path: Path, seed: int) -> None:
    """The gateway is killed every few points, the exchange once in the middle."""
    chance = Random(seed)  # noqa: S311  (repeatable chance)
    log, lives = KafkaLog(), 0
    faults = ("--faults", FAULTS, "--seed", str(seed), "--partial", "0.3", "--fill-delay-s", "0.3")
    with ExchangeProcess(tmp_path, *faults) as exchange:
        while lives < 6:
            lives += 1
            client = exchange.client()
            try:
                work(log, client, ORDERS, Doom(chance.randint(1, 12)))
            except KilledError:
                if lives == 3:
                    exchange.kill()
                    exchange.start(*faults)
            else:
                break
        work(log, exchange.client(), ORDERS)

        agree(exchange, log, ORDERS)
        assert any(exchange.orders().values())


@pytest.mark.usefixtures("patience")
def test_same_order_placed_again_is_the_same_order(
    exchange: ExchangeProcess, venue: RestVenue
) -> None:
    first = venue.send(command(1), expire_time_ns=soon_ns())
    exchange.kill()
    exchange.start()

    again = venue.send(command(1), expire_time_ns=soon_ns())

    assert isinstance(first, Known)
    assert isinstance(again, Known)
    assert again.reports[0] == first.reports[0]
    assert exchange.orders() == {"order-1": True}


@pytest.mark.usefixtures("patience")
def test_canceled_before_it_came_an_order_is_refused(
    exchange: ExchangeProcess, venue: RestVenue
) -> None:
    assert venue.query(command(1)) == Absent()
    assert venue.cancel(command(1)) == Absent()
    exchange.kill()
    exchange.start()

    reply = venue.send(command(1), expire_time_ns=soon_ns())

    assert reply == Refused("client_order_id_blocked")
    assert exchange.orders() == {"order-1": False}


@pytest.mark.usefixtures("patience")
def test_open_order_is_canceled_by_its_id(exchange: ExchangeProcess, venue: RestVenue) -> None:
    exchange.kill()
    exchange.start("--fill-delay-s", "600")
    venue.send(command(1), expire_time_ns=soon_ns())

    reply = venue.cancel(command(1))

    assert isinstance(reply, Known)
    assert [each.row["kind"] for each in reply.reports] == ["ACKNOWLEDGED", "CANCELED"]
    assert [each.is_last for each in reply.reports] == [False, True]


@pytest.mark.usefixtures("patience")
def test_order_that_comes_after_its_lease_is_refused(
    exchange: ExchangeProcess, venue: RestVenue
) -> None:
    reply = venue.send(command(1), expire_time_ns=time.time_ns() - 1)

    assert reply == Refused("expired")
    assert exchange.orders() == {}


@pytest.mark.usefixtures("patience")
def test_executions_are_read_behind_a_number(venue: RestVenue) -> None:
    for number in range(3):
        venue.send(command(number), expire_time_ns=soon_ns())

    page = venue.pushed(2, 1)

    assert isinstance(page, Page)
    assert [event.number for event in page.events] == [3]
    assert page.end >= 3


@pytest.mark.usefixtures("patience")
def test_wrong_secret_is_refused_and_shown_nowhere(
    exchange: ExchangeProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    stranger = exchange.client(secret="another-secret-of-tests")  # noqa: S106  (of nothing)

    reply = stranger.send(command(1), expire_time_ns=soon_ns())
    stranger.close()

    assert reply == Refused("signature_wrong")
    assert exchange.orders() == {}
    said = caplog.text + repr(vars(stranger)) + exchange.log.read_text()
    assert "another-secret" not in said
    assert SECRET not in said


@pytest.mark.usefixtures("patience")
def test_changed_order_is_refused_by_its_signature(
    exchange: ExchangeProcess,
) -> None:
    sent: list[httpx.Request] = []
    client = exchange.client()
    client._client.event_hooks["request"].append(sent.append)
    client.send(command(1), expire_time_ns=soon_ns())
    client.close()
    (request,) = sent
    body = (
        request.read()
        .replace(b'"quantity_lots":10', b'"quantity_lots":99')
        .replace(b"order-1", b"order-2")
    )

    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    reply = httpx.post(str(request.url), content=body, headers=headers, timeout=PATIENCE_S)

    assert (reply.status_code, reply.json()["code"]) == (401, "signature_wrong")
    assert exchange.orders() == {"order-1": True}


def test_exchange_that_is_down_was_surely_not_reached(
    exchange: ExchangeProcess, venue: RestVenue
) -> None:
    exchange.kill()

    assert venue.send(command(1), expire_time_ns=soon_ns()) == NotSent("venue_unreachable")
