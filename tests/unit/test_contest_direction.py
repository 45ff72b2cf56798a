"""Which model decides of which vector, what the others say of it, and what is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from agents.contest_direction import TABLE, contest_direction
from agents.direction.choice import CHANGES_MAX, EVERY_INSTRUMENT, Choice
from agents.direction.shadow import SHADOW_SCHEMA, ShadowRule
from headrace import Batch, Output
from headrace.avro.schema import load_schema
from headrace.errors import UsageError
from headrace.inference import Model
from headrace.state.tables import ObjectState
from headrace.testing import TestDriver
from headrace.topology import Proof
from tests.binance_records import SCHEMAS, part_of
from tests.unit.test_predict_direction import NotANumber, chances, changed, features
from topologies.trading_challenger import CONTEST, TOPOLOGY

MODELS = Path(__file__).parents[2] / "models"
Both = tuple[Model, Model]
CHAMPION, CHALLENGER = "direction.v1", "direction_imbalance.v1"
CONTROL_SCHEMA = load_schema(SCHEMAS, "model_control.v1").arrow
BTC, ETH = "binance-spot:BTCUSDT", "binance-spot:ETHUSDT"
PREDICTIONS, SHADOWS = "signal.prediction.v1", "model.shadow.v1"


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(MODELS / "direction")


@pytest.fixture(scope="module")
def challenger() -> Model:
    return Model.load(MODELS / "direction_imbalance")


@pytest.fixture(scope="module")
def both(model: Model, challenger: Model) -> Both:
    return model, challenger


@pytest.fixture
def state() -> ObjectState[Choice]:
    return TABLE.open()


def vectors(count: int, instruments: Sequence[str] = (BTC,)) -> pa.RecordBatch:
    """Return vectors of these instruments in turn, received at 1, 2, 3, … ns."""
    records = changed(features(count), "receive_time_ns", list(range(1, count + 1)))
    names: list[object] = [instruments[row % len(instruments)] for row in range(count)]
    return changed(records, "instrument", names)


def word(model: str, **fields: Any) -> Mapping[str, Any]:
    """Return what an operator says: of every instrument and at once, if nothing else is given."""
    rest = {"instrument": EVERY_INSTRUMENT, "from_time_ns": 0, "reason": "", "event_time_ns": 5}
    return {**rest, "model": model, **fields}


def contest(
    records: pa.RecordBatch,
    state: ObjectState[Choice],
    models: Sequence[Model],
    *words: Mapping[str, Any],
    every: int = 1,
) -> Output:
    controls = pa.RecordBatch.from_pylist([dict(each) for each in words], schema=CONTROL_SCHEMA)
    parts = (part_of("model.control.v1", controls), part_of("feature.vector.v1", records))
    counts = [len(part) for part in parts]
    batch = Batch(
        parts,
        np.repeat(np.arange(2, dtype=np.uint8), counts),
        np.concatenate([np.arange(count) for count in counts]),
    )
    first, *rest = models
    return contest_direction(batch, state, first, tuple(rest), ShadowRule(every))


def names(output: Output, topic: str = PREDICTIONS) -> list[str]:
    found: list[str] = output.records[topic].column("model").to_pylist()
    return found


def test_columns_are_those_of_the_schema() -> None:
    assert load_schema(SCHEMAS, "shadow_prediction.v1").arrow == SHADOW_SCHEMA


def test_unless_something_is_said_the_champion_decides_and_the_other_is_its_shadow(
    both: Both, state: ObjectState[Choice]
) -> None:
    model, challenger = both
    records = vectors(20)

    output = contest(records, state, both)

    assert names(output) == [CHAMPION] * 20
    assert names(output, SHADOWS) == [CHALLENGER] * 20
    np.testing.assert_array_equal(chances(output.records[PREDICTIONS]), model.predict(records))
    np.testing.assert_array_equal(chances(output.records[SHADOWS]), challenger.predict(records))
    assert output.records[SHADOWS].column("sequence").equals(records.column("sequence"))
    assert not len(state)


def test_from_a_word_on_the_named_model_decides_and_the_champion_is_its_shadow(
    both: Both, state: ObjectState[Choice]
) -> None:
    records = vectors(6)

    contest(records.slice(0, 0), state, both, word(CHALLENGER))
    output = contest(records, state, both)

    assert names(output) == [CHALLENGER] * 6
    assert names(output, SHADOWS) == [CHAMPION] * 6
    np.testing.assert_array_equal(chances(output.records[PREDICTIONS]), both[1].predict(records))


def test_a_word_for_later_holds_from_its_time_on_whatever_order_it_is_read_in(
    both: Both, state: ObjectState[Choice]
) -> None:
    output = contest(vectors(6), state, both, word(CHALLENGER, from_time_ns=4))

    assert names(output) == [CHAMPION] * 3 + [CHALLENGER] * 3
    assert output.counts["control_applied"] == 1
    # The batch's first row is the control.
    assert output.causes[PREDICTIONS].tolist() == [1, 2, 3, 4, 5, 6]
    assert output.causes[SHADOWS].tolist() == [1, 2, 3, 4, 5, 6]
    assert output.records[PREDICTIONS].column("sequence").to_pylist() == [1, 2, 3, 4, 5, 6]


def test_a_word_for_one_instrument_leaves_the_others(
    both: Both, state: ObjectState[Choice]
) -> None:
    output = contest(vectors(4, (BTC, ETH)), state, both, word(CHALLENGER, instrument=ETH))

    assert names(output) == [CHAMPION, CHALLENGER] * 2
    assert names(output, SHADOWS) == [CHALLENGER, CHAMPION] * 2


def test_a_word_for_all_is_for_those_of_which_something_else_was_said(
    both: Both, state: ObjectState[Choice]
) -> None:
    said = word(CHALLENGER, instrument=ETH), word(CHAMPION, event_time_ns=6)

    assert names(contest(vectors(4, (BTC, ETH)), state, both, *said)) == [CHAMPION] * 4


def test_a_word_replaces_what_was_to_come(both: Both, state: ObjectState[Choice]) -> None:
    said = word(CHALLENGER, from_time_ns=3), word(CHAMPION, from_time_ns=2)
    assert names(contest(vectors(5), state, both, *said)) == [CHAMPION] * 5

    back = word(CHALLENGER, from_time_ns=4)
    output = contest(vectors(5), state, both, back)

    assert names(output) == [CHAMPION] * 3 + [CHALLENGER] * 2


def test_a_word_older_than_the_last_changes_nothing(both: Both, state: ObjectState[Choice]) -> None:
    said = word(CHALLENGER, event_time_ns=9), word(CHAMPION, event_time_ns=8)

    output = contest(vectors(2), state, both, *said)

    assert names(output) == [CHALLENGER] * 2
    assert (output.counts["control_applied"], output.counts["control_stale"]) == (1, 1)


@pytest.mark.parametrize(
    ("said", "cause", "detail"),
    [
        (word("direction.v2"), "model_unknown", "expected one of direction.v1, direction_imbal"),
        (word(CHALLENGER, instrument="nowhere"), "instrument_unknown", "instrument 'nowhere'"),
    ],
)
def test_a_word_that_names_nothing_is_dead_and_changes_nothing(
    both: Both,
    state: ObjectState[Choice],
    said: Mapping[str, Any],
    cause: str,
    detail: str,
) -> None:
    output = contest(vectors(3), state, both, word(CHAMPION), said)

    (dead,) = output.dead
    assert (dead.part, dead.row, dead.cause) == (0, 1, cause)
    assert detail in dead.detail
    assert names(output) == [CHAMPION] * 3
    assert output.counts["control_applied"] == 1


def test_vectors_of_a_model_that_is_gone_are_dead_until_another_is_named(
    both: Both, state: ObjectState[Choice]
) -> None:
    model, _ = both
    contest(vectors(0), state, both, word(CHALLENGER))

    output = contest(vectors(2), state, (model,))
    after = contest(vectors(2), state, (model,), word(CHAMPION, event_time_ns=6))

    assert [(dead.part, dead.row, dead.cause) for dead in output.dead] == [
        (1, 0, "model_gone"),
        (1, 1, "model_gone"),
    ]
    assert PREDICTIONS not in output.records
    assert names(after) == [CHAMPION] * 2


def test_of_many_changes_the_latest_are_kept(both: Both, state: ObjectState[Choice]) -> None:
    turns = [CHALLENGER, CHAMPION] * CHANGES_MAX
    said = [word(name, from_time_ns=10 * at) for at, name in enumerate(turns, start=1)]
    contest(vectors(0), state, both, *said)

    times: list[object] = [1, 10 * len(turns) - 1, 10 * len(turns)]
    output = contest(changed(vectors(3), "receive_time_ns", times), state, both)

    choice = state.read(EVERY_INSTRUMENT)
    assert choice is not None
    assert len(choice.models) == len(choice.from_times_ns) == CHANGES_MAX
    # The first of those kept holds for what was before.
    assert names(output) == [turns[-CHANGES_MAX], *turns[-2:]]


def test_what_a_shadow_refuses_is_counted_and_no_dead_letter(
    model: Model, state: ObjectState[Choice]
) -> None:
    other = NotANumber.load(MODELS / "direction_imbalance")

    output = contest(vectors(4), state, (model, other))

    assert not output.dead
    assert output.counts["shadow_refused"] == 1
    assert names(output) == [CHAMPION] * 4
    assert output.records[SHADOWS].column("sequence").to_pylist() == [1, 3, 4]


def test_what_the_decider_refuses_is_dead(challenger: Model, state: ObjectState[Choice]) -> None:
    output = contest(vectors(4), state, (NotANumber.load(MODELS / "direction"), challenger))

    assert [(dead.part, dead.row, dead.cause) for dead in output.dead] == [(1, 1, "nan_prediction")]
    assert output.records[PREDICTIONS].column("sequence").to_pylist() == [1, 3, 4]
    assert len(names(output, SHADOWS)) == 4


def test_invalid_quotes_are_skipped_by_all_and_counted_once(
    both: Both, state: ObjectState[Choice]
) -> None:
    records = changed(vectors(4), "quote_valid", [True, False, True, False])

    output = contest(records, state, both)

    assert output.counts["prediction_skipped_invalid_quote"] == 2
    for topic in (PREDICTIONS, SHADOWS):
        assert output.records[topic].column("sequence").to_pylist() == [1, 3]
        assert output.causes[topic].tolist() == [0, 2]


def test_a_sample_is_of_the_sequences_that_are_multiples(
    both: Both, state: ObjectState[Choice]
) -> None:
    output = contest(vectors(10), state, both, every=4)

    assert output.records[SHADOWS].column("sequence").to_pylist() == [4, 8]
    assert len(names(output)) == 10
    with pytest.raises(UsageError, match="expected 1 or more, found 0"):
        ShadowRule(every=0)


def test_an_empty_batch_gives_nothing(both: Both, state: ObjectState[Choice]) -> None:
    assert not contest(vectors(0), state, both).records


def test_the_choice_outlives_a_crash_and_one_that_was_not_committed_is_heard_again() -> None:
    graph = replace(TOPOLOGY, steps=(CONTEST,), controls=TOPOLOGY.controls[-1:], proof=Proof())
    driver = TestDriver(graph)
    driver.say("model", {"use": CHALLENGER}, commit=False)
    driver.crash()
    driver.restore()
    driver.crash()
    driver.restore()

    driver.pipe("feature.vector.v1", vectors(3))

    assert driver.read(PREDICTIONS).column("model").to_pylist() == [CHALLENGER] * 3
    assert driver.table("inference")[EVERY_INSTRUMENT].models == [CHALLENGER]


def test_decisions_are_made_of_the_decider_alone() -> None:
    """The shadow's predictions go nowhere but to their own topic."""
    readers = {
        step.name for step in TOPOLOGY.steps for topic in step.reads if topic.name == SHADOWS
    }

    assert not readers
