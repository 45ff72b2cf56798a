"""Which topics of a graph are a function of its input, and what keeps their order."""

from headrace.batch import Output
from headrace.faults.same_stream import same_streams
from headrace.topology import Control, Drill, Proof, Source, Step, Topic, Topology
from topologies.trading import TOPOLOGY


def topic(name: str, *key: str, spoken: bool = False) -> Topic:
    return Topic(name, name, key=key, spoken=spoken)


def agent(**_: object) -> Output:
    raise NotImplementedError


RAW, LEFT, RIGHT = topic("raw", "source"), topic("left", "name"), topic("right", "name")
JOINED, RACED, AFTER = topic("joined", "name"), topic("raced", "name"), topic("after", "name")


WORD = topic("word", "name", spoken=True)


def graph(*steps: Step, said: bool = False) -> Topology:
    def opened(*_: object) -> None:
        raise NotImplementedError

    source = Source(RAW, opened, defaults=("x",))  # type: ignore[arg-type]
    if not said:
        return Topology("graph", source, steps)
    word = Control("say", "says", WORD, lambda *_: {}, address="name")
    proof = Proof(drill=Drill(say="say", take_back="say"))
    return Topology("graph", source, steps, controls=(word,), proof=proof)


FIELDS = dict.fromkeys(
    ("raw", "left", "right", "joined", "raced", "after"), ("source", "name", "value")
)


def test_what_one_topic_causes_keeps_the_order_of_both_keys() -> None:
    found = same_streams(graph(Step("s", agent, (RAW,), (LEFT,))), FIELDS)

    assert found == {"raw": ("source",), "left": ("name", "source")}


def test_a_key_the_record_has_lost_orders_nothing_by_itself() -> None:
    fields = FIELDS | {"left": ("name", "value")}

    found = same_streams(graph(Step("s", agent, (RAW,), (LEFT,))), fields)

    assert found["left"] == ("name",)


def test_a_merge_is_a_function_of_the_input_a_race_is_not() -> None:
    found = same_streams(
        graph(
            Step("split", agent, (RAW,), (LEFT, RIGHT)),
            Step("merge", agent, (LEFT, RIGHT), (JOINED,), merge=("name",)),
            Step("race", agent, (LEFT, RIGHT), (RACED,)),
            Step("follow", agent, (RACED,), (AFTER,)),
        ),
        FIELDS,
    )

    assert set(found) == {"raw", "left", "right", "joined"}


def test_a_topic_that_a_race_writes_too_is_left_out() -> None:
    found = same_streams(
        graph(
            Step("split", agent, (RAW,), (LEFT, RIGHT)),
            Step("race", agent, (LEFT, RIGHT), (RIGHT,)),
        ),
        FIELDS,
    )

    assert set(found) == {"raw", "left"}


def test_what_nobody_says_decides_nothing_and_what_the_drill_says_does() -> None:
    steps = (Step("s", agent, (WORD, RAW), (LEFT,)), Step("t", agent, (LEFT,), (RIGHT,)))

    silent = same_streams(graph(*steps), FIELDS)
    spoken = same_streams(graph(*steps, said=True), FIELDS)

    assert set(silent) == {"raw", "left", "right"}
    assert set(spoken) == {"raw"}


def test_the_trading_graph_is_decided_up_to_the_order_request() -> None:
    fields = {t.name: ("account", "instrument", "source", "value") for t in TOPOLOGY.topics}

    assert set(same_streams(TOPOLOGY, fields)) == {
        "market.frame.v1",
        "market.trade.v1",
        "market.quote.v1",
        "market.book.v1",
        "market.instrument.v1",
        "feature.vector.v1",
        "signal.prediction.v1",
        "order.request.v1",
    }
