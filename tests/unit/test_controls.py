"""Words an operator says: who hears them, which options they take, what the trading graph makes."""

from typing import Any

import pytest

from agents.direction.choice import EVERY_INSTRUMENT
from agents.trading.controls import EVERY_ACCOUNT
from agents.trading.limits import AccountLimits, RiskLimits
from headrace import Control, Output, Source, Step, Topic, Topology
from headrace.cli.control import parse_options, spoken_partitions
from headrace.errors import TopologyError, UsageError
from headrace.kafka.partitioner import partition_of
from schemas.topics import ACCOUNT_CONTROL
from topologies._controls import model_control, trading_controls
from topologies.trading import TOPOLOGY

TOPIC = Topic("door.v1", "door.v1", key=("door",), partitions=4)
OTHER = Topic("window.v1", "window.v1", key=("window",), partitions=4)


def shut(topic: Topic = TOPIC) -> Control:
    return Control(
        "shut",
        "shut a door",
        topic,
        lambda options, time_ns: {"door": options.get("door", "*"), "time_ns": time_ns},
        address="door",
        options={"door": "Which.", "reason": "Why."},
    )


def graph(*controls: Control) -> Topology:
    return Topology(
        "house",
        Source(TOPIC, Any, defaults=()),  # type: ignore[arg-type]  # no feed is opened
        (Step("porter", lambda _: Output(), reads=(TOPIC,)),),
        controls=controls,
    )


def test_a_control_for_one_key_goes_where_the_key_belongs_and_without_it_everywhere() -> None:
    one = spoken_partitions(shut(), {"door": "back"}, [b"back"])

    assert one == [partition_of(b"back", 4)]
    assert spoken_partitions(shut(), {"reason": "night"}, [b"*"]) == [0, 1, 2, 3]


def test_options_are_given_with_a_blank_or_an_equals_sign() -> None:
    found = parse_options(shut(), ["--door", "back", "--reason=it is = cold"])

    assert found == {"door": "back", "reason": "it is = cold"}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--dor", "back"], "has no option '--dor'; it has --door, --reason"),
        (["back"], "has no option 'back'"),
        (["--door"], "--door lacks its value"),
        (["--door", "a", "--door=b"], "--door is given twice"),
    ],
)
def test_options_that_say_something_else_are_refused(arguments: list[str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        parse_options(shut(), arguments)


def test_a_control_that_no_step_reads_is_refused() -> None:
    with pytest.raises(TopologyError, match="nobody would hear it"):
        graph(shut(OTHER))


def test_controls_are_found_by_name_and_named_once() -> None:
    assert graph(shut()).control("shut").says == "shut a door"
    with pytest.raises(TopologyError, match="no control 'open'; it has shut"):
        graph(shut()).control("open")
    with pytest.raises(TopologyError, match="control shut is named twice"):
        graph(shut(), shut())


def test_halt_without_an_account_is_for_every_account() -> None:
    halt = TOPOLOGY.control("halt")

    assert halt.record({"reason": "drill"}, 7) == {
        "account": EVERY_ACCOUNT,
        "state": "HALTED",
        "reason": "drill",
        "event_time_ns": 7,
    }


def test_reduce_and_resume_name_their_account() -> None:
    found = [
        TOPOLOGY.control(name).record({"account": "paper"}, 7) for name in ("reduce", "resume")
    ]

    assert [(each["account"], each["state"]) for each in found] == [
        ("paper", "REDUCING"),
        ("paper", "ACTIVE"),
    ]


def test_a_model_is_named_for_all_instruments_at_once_or_for_one_from_a_time_on() -> None:
    control = model_control()

    at_once = control.record({"use": "direction.v2"}, 7)
    later = control.record(
        {
            "use": "direction.v1",
            "instrument": "binance-spot:BTCUSDT",
            "from": "2024-08-09T02:00:01.000001+02:00",
            "reason": "drill",
        },
        8,
    )

    assert at_once == {
        "instrument": EVERY_INSTRUMENT,
        "model": "direction.v2",
        "from_time_ns": 0,
        "reason": "",
        "event_time_ns": 7,
    }
    assert later["from_time_ns"] == 1_723_161_601_000_001_000
    assert (later["instrument"], later["reason"]) == ("binance-spot:BTCUSDT", "drill")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "expected --use NAME"),
        ({"use": "a", "from": "soon"}, "--from 'soon': expected a time"),
        ({"use": "a", "instrument": "nowhere"}, "instrument 'nowhere'"),
    ],
)
def test_a_word_on_models_that_means_nothing_is_refused(
    options: dict[str, str], fault: str
) -> None:
    with pytest.raises(UsageError, match=fault):
        model_control().record(options, 7)


@pytest.mark.parametrize("account", ["papr", "", EVERY_ACCOUNT])
def test_a_control_of_an_account_that_does_not_trade_is_refused(account: str) -> None:
    with pytest.raises(UsageError, match="expected one of paper"):
        TOPOLOGY.control("halt").record({"account": account}, 7)


def test_every_step_that_lets_an_order_pass_hears_the_controls() -> None:
    readers = {step.name for step in TOPOLOGY.steps if ACCOUNT_CONTROL in step.reads}

    assert readers == {"risk", "execution"}


def test_no_account_may_bear_the_name_of_all_of_them() -> None:
    with pytest.raises(ValueError, match="stands for every account"):
        RiskLimits({EVERY_ACCOUNT: AccountLimits()})
    assert len(trading_controls(RiskLimits({}))) == 3
