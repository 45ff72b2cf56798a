"""The gateway's cycle: intent, commit, send under the lease, outcome; killed at every point."""

from threading import Event, current_thread

import pytest

from headrace.errors import FencedError, TransientError
from headrace.gateway import Command, GatewayRules, NotSent, Pushed, Refused, Reply, Unanswered
from headrace.runtime.stats import Stats
from tests.gateway_bench import PLACE, Bench
from tests.gateway_fakes import Doom, KilledError, order


def count(stats: Stats, name: str) -> int:
    found: int = stats.as_json()["counts"].get(f"gateway_venue.{name}", 0)
    return found


def test_order_is_sent_after_its_intent_and_its_reports_are_written(bench: Bench) -> None:
    processor = bench.start()

    bench.send(processor, [order(1), order(2)])
    bench.venue.fill_all()
    bench.idle(processor, 1)

    assert bench.venue.created == {"order-1": 1, "order-2": 1}
    assert bench.log.sequences() == {"order-1": [1, 2], "order-2": [1, 2]}
    assert bench.log.offsets == {PLACE: 2}


def test_headers_of_an_order_are_those_of_its_reports(bench: Bench) -> None:
    processor = bench.start()

    bench.send(processor, [order(1)], headers=[(("trace", b"abc"),)])
    bench.venue.fill_all()
    bench.idle(processor, 1)

    assert [list(each) for each in bench.log.headers] == [[("trace", b"abc")]] * 2


def test_killed_at_every_point_no_order_is_doubled_and_each_ends() -> None:
    orders = [order(number) for number in range(5)]
    points = 0
    while True:
        bench = Bench()
        doom = bench.venue.doom = Doom(points)
        try:
            processor = bench.start(doom=doom, rules=GatewayRules(parallel_max=1))
            bench.send(processor, orders)
            bench.venue.fill_all()
            bench.idle(processor, 5)
        except KilledError:
            bench.venue.doom = Doom()
        else:
            break
        successor = bench.start()
        bench.send(successor, orders)
        bench.venue.fill_all()
        bench.idle(successor)

        assert max(bench.venue.created.values(), default=0) <= 1, points
        assert bench.log.ended() == {each.client_order_id: 1 for each in orders}, points
        for identity, sequences in bench.log.sequences().items():
            assert sequences == list(range(1, len(sequences) + 1)), (points, identity)
        for row in bench.log.reports:
            is_rejected = row["kind"] == "REJECTED"
            assert is_rejected == (row["client_order_id"] not in bench.venue.created), points
        for each in bench.processors:
            each.close()
        points += 1
    assert points > 20


def test_fenced_owner_cannot_send(bench: Bench) -> None:
    fenced = bench.start()
    bench.start()

    with pytest.raises(FencedError):
        bench.send(fenced, [order(1)])

    assert bench.venue.calls["send"] == 0
    assert not bench.log.offsets


def test_owner_stopped_after_its_commit_asks_instead_of_sending(bench: Bench) -> None:
    processor = bench.start()

    def stop() -> None:
        bench.journal.after_commit = lambda: None
        bench.clock.now_s += 2.0

    bench.journal.after_commit = stop
    bench.send(processor, [order(1)])
    bench.idle(processor)

    assert bench.venue.calls["send"] == 0
    assert bench.venue.blocked == {"order-1"}
    assert bench.kinds() == [("REJECTED", "not_received")]
    assert count(bench.stats, "lease_lapsed") == 1


def test_thread_stopped_right_before_the_wire_does_not_send(bench: Bench) -> None:
    processor = bench.start()
    clock_s = processor._clock_s
    processor._clock_s = lambda: clock_s() + 2.0 * current_thread().name.startswith("gateway_")

    bench.send(processor, [order(1)])
    processor._clock_s = clock_s
    bench.idle(processor)

    assert bench.venue.calls["send"] == 0
    assert bench.kinds() == [("REJECTED", "not_received")]


def test_fenced_owner_cannot_send_nor_cancel_after_it_was_stopped(bench: Bench) -> None:
    """It read, committed, and was stopped: another owner has asked and reported meanwhile."""
    stopped = bench.start()
    stopped_journal = bench.journal

    def stop() -> None:
        stopped_journal.after_commit = lambda: None
        successor = bench.start()
        bench.idle(successor)

    stopped_journal.after_commit = stop
    with pytest.raises(FencedError):
        bench.send(stopped, [order(1)])

    assert bench.venue.calls["send"] == 0
    assert bench.venue.calls["cancel"] == 1
    assert bench.kinds() == [("REJECTED", "not_received")]


def test_lost_reply_is_asked_for_and_the_order_followed(bench: Bench) -> None:
    processor = bench.start()
    bench.venue.lost = {"send"}

    bench.send(processor, [order(1)])
    bench.idle(processor, 3)
    bench.venue.fill_all()
    bench.idle(processor, 3)

    assert bench.venue.created == {"order-1": 1}
    assert bench.log.sequences() == {"order-1": [1, 2]}
    assert count(bench.stats, "outcome_unknown") == 1


def test_order_whose_request_was_lost_is_canceled_and_rejected(bench: Bench) -> None:
    processor = bench.start()
    bench.venue.replies = {"send": Unanswered("lost")}

    bench.send(processor, [order(1)])
    bench.idle(processor)

    assert bench.venue.blocked == {"order-1"}
    assert bench.kinds() == [("REJECTED", "not_received")]
    assert bench.venue.calls["send"] == 1


def test_hanging_venue_holds_nobody_up_for_longer_than_a_call(bench: Bench) -> None:
    processor = bench.start(rules=GatewayRules(call_s_max=0.05))
    hanging, send = Event(), bench.venue.send

    def hang(command: Command, *, expire_time_ns: int) -> Reply:
        hanging.wait(60)
        return send(command, expire_time_ns=expire_time_ns)

    bench.venue.send = hang  # type: ignore[method-assign]
    bench.send(processor, [order(1)])
    written = list(bench.log.values)
    hanging.set()
    processor._calls.shutdown(wait=True)

    assert written == []
    assert count(bench.stats, "outcome_unknown") == 1
    assert bench.venue.created == {"order-1": 1}


def test_unknown_outcome_is_asked_for_until_the_venue_answers(bench: Bench) -> None:
    processor = bench.start()
    bench.venue.lost = {"send", "query"}

    bench.send(processor, [order(1)])
    bench.venue.log.clear()  # and nothing is pushed
    bench.idle(processor)
    asked = bench.venue.calls["query"]
    bench.venue.lost = set()
    bench.idle(processor)

    assert asked > 3
    assert count(bench.stats, "asked_again") >= asked
    assert bench.log.sequences() == {"order-1": [1]}
    assert bench.venue.calls["send"] == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Refused("insufficient_funds"), "insufficient_funds"),
        (NotSent("unreachable"), "unreachable"),
    ],
)
def test_what_surely_came_to_nothing_is_rejected_at_once(
    bench: Bench, reply: Reply, reason: str
) -> None:
    processor = bench.start()
    bench.venue.replies = {"send": reply}

    bench.send(processor, [order(1)])

    assert bench.kinds() == [("REJECTED", reason)]
    assert bench.venue.calls["query"] == 0


def test_order_that_waited_too_long_is_rejected_unsent(bench: Bench) -> None:
    processor = bench.start()

    bench.send(processor, [order(1)], age_ms=5_001)

    assert bench.venue.calls["send"] == 0
    assert bench.kinds() == [("REJECTED", "too_old")]


def test_orders_above_the_open_limit_are_rejected_unsent(bench: Bench) -> None:
    processor = bench.start(rules=GatewayRules(open_max=1))

    bench.send(processor, [order(1), order(2)])

    assert bench.venue.created == {"order-1": 1}
    assert ("REJECTED", "open_commands_limit") in bench.kinds()


def test_repeated_order_is_not_sent_again_not_even_after_a_restart(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1), order(1)])
    bench.venue.fill_all()
    bench.idle(processor, 2)

    bench.send(bench.start(), [order(1), order(1), order(1)])

    assert bench.venue.calls["send"] == 1
    assert bench.log.sequences() == {"order-1": [1, 2]}
    assert count(bench.stats, "command_repeated") == 1


def test_order_that_may_have_been_forgotten_is_asked_for_not_sent(bench: Bench) -> None:
    processor = bench.start(rules=GatewayRules(remembered_max=1, parallel_max=1))
    bench.venue.replies = {"send": Refused("closed")}

    bench.send(processor, [order(1), order(2), order(3), order(1)])

    assert bench.venue.calls["send"] == 3
    assert count(bench.stats, "command_maybe_forgotten") == 1


def test_record_that_is_no_order_goes_to_the_dead_letters(bench: Bench) -> None:
    processor = bench.start()

    bench.send(processor, [order(1, quantity_lots=0), order(2)])

    assert [(each.offset, each.cause) for each in bench.log.dead] == [(0, "command_invalid")]
    assert bench.venue.created == {"order-2": 1}


def test_nothing_is_sent_before_it_is_known_where_the_log_of_reports_ends(bench: Bench) -> None:
    processor = bench.start()
    bench.venue.is_away = True

    bench.send(processor, [order(1)])

    assert bench.venue.calls["send"] == 0
    assert bench.kinds() == [("REJECTED", "remote_away")]


def test_venue_that_stays_away_stops_the_worker(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1)])
    bench.venue.is_away = True

    with pytest.raises(TransientError, match="has not answered for 300"):
        bench.idle(processor, 2_000)


def test_commit_of_unknown_outcome_sends_nothing(bench: Bench) -> None:
    processor = bench.start()

    def lose() -> None:
        raise TransientError("no answer from the coordinator")

    bench.journal.after_commit = lose
    with pytest.raises(TransientError):
        bench.send(processor, [order(1)])
    successor = bench.start()
    bench.idle(successor)

    assert bench.venue.calls["send"] == 0
    assert bench.kinds() == [("REJECTED", "not_received")]


def test_pushes_repeated_and_out_of_order_are_written_once_in_order(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1)])
    bench.venue._say("order-1", "FILLED", is_last=False)
    bench.venue._say("order-1", "FILLED", is_last=False)
    bench.venue._say("order-1", "CANCELED", is_last=True)
    straight = bench.venue.log
    bench.venue.log = [straight[n] for n in (2, 2, 1, 3, 1)]

    bench.idle(processor, 1)

    assert bench.log.sequences() == {"order-1": [1, 2, 3, 4]}


def test_push_that_never_comes_is_asked_for(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1)])
    bench.venue.fill_all()
    other = bench.venue.said["order-1"][0]
    bench.venue.log = [bench.venue.log[0], Pushed(3, other)]  # number 2, the fill, is lost

    bench.idle(processor, 10)

    assert bench.log.sequences() == {"order-1": [1, 2]}
    assert count(bench.stats, "push_gap_skipped") == 1


def test_report_after_the_last_is_passed_on_and_counted(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1)])
    bench.venue.fill_all()
    bench.idle(processor, 1)

    bench.venue._say("order-1", "FILLED", is_last=True)
    bench.idle(processor, 1)

    assert bench.log.sequences() == {"order-1": [1, 2, 3]}
    assert count(bench.stats, "report_after_end") == 1
