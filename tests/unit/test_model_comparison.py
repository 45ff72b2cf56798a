"""Models held against each other on the vectors all of them spoke of."""

from collections.abc import Sequence
from math import log

import pyarrow as pa
import pytest

from headrace.errors import UsageError
from models.direction.compare import ModelScore, compare

SECOND = 10**9
UP, DOWN = (0.1, 0.2, 0.7), (0.6, 0.3, 0.1)
"""Chances of down, flat, up."""

Said = tuple[str, int, str, tuple[float, float, float]]


def spoken(rows: Sequence[Said]) -> dict[str, list[object]]:
    """Return columns of what models said: source, sequence, model, chances; 1 s from each other."""
    return {
        "instrument": ["X"] * len(rows),
        "source": [source for source, *_ in rows],
        "sequence": [sequence for _, sequence, *_ in rows],
        "receive_time_ns": [sequence * SECOND for _, sequence, *_ in rows],
        "model": [model for _, _, model, _ in rows],
        "horizon_ns": [SECOND] * len(rows),
        **{
            name: [chances[place] for *_, chances in rows]
            for place, name in enumerate(("probability_down", "probability_flat", "probability_up"))
        },
    }


def tables(
    decided: Sequence[Said], shadows: Sequence[Said], mids: Sequence[int]
) -> dict[str, pa.Table]:
    """Return the topics of a run in which mid was `mids[t]` from second t on."""
    found = spoken(decided)
    at = [mids[sequence] for _, sequence, *_ in decided]
    found |= {
        "bid_price_ticks": [mid - 1 for mid in at],
        "ask_price_ticks": [mid + 1 for mid in at],
    }
    return {
        "signal.prediction.v1": pa.table(found),
        "model.shadow.v1": pa.table(
            pa.table(spoken(shadows)) if shadows else pa.table(found).slice(0, 0)
        ),
        "market.quote.v1": pa.table(
            {
                "instrument": ["X"] * len(mids),
                "receive_time_ns": [second * SECOND for second in range(len(mids))],
                "bid_price_ticks": [mid - 1 for mid in mids],
                "ask_price_ticks": [mid + 1 for mid in mids],
            }
        ),
    }


def scores(*given: Sequence[object]) -> dict[str, ModelScore]:
    return {score.model: score for score in compare(tables(*given)).scores}  # type: ignore[arg-type]


def test_models_are_judged_by_what_came_of_the_same_vectors() -> None:
    """Mid rises after 1 and 3, falls after 2 and 4."""
    decided = [("a", 1, "m", UP), ("a", 2, "m", UP), ("a", 3, "m", UP), ("a", 4, "m", DOWN)]
    shadows = [("a", 4, "n", DOWN), ("a", 1, "n", UP), ("a", 2, "n", DOWN), ("a", 3, "n", UP)]

    found = scores(decided, shadows, [10, 10, 12, 10, 12, 10])

    assert (found["m"].said, found["m"].decided, found["m"].compared) == (4, 4, 4)
    assert (found["n"].said, found["n"].decided, found["n"].compared) == (4, 0, 4)
    assert (found["m"].auc, found["n"].auc) == (0.75, 1.0)
    assert found["n"].log_loss == pytest.approx(-(2 * log(0.7) + 2 * log(0.6)) / 4)
    assert found["m"].log_loss == pytest.approx(-(2 * log(0.7) + log(0.1) + log(0.6)) / 4)
    assert (found["m"].agreement, found["n"].agreement) == (1.0, 0.75)


def test_only_vectors_that_all_spoke_of_and_whose_outcome_is_known_count() -> None:
    """A sampled shadow, one of another source, one of a vector nobody decided, one at the end."""
    decided = [("a", sequence, "m", UP) for sequence in (1, 2, 3, 5)]
    shadows = [("a", 2, "n", UP), ("b", 1, "n", UP), ("a", 4, "n", UP), ("a", 5, "n", UP)]

    found = scores(decided, shadows, [10, 10, 12, 14, 14, 14])

    assert {model: score.compared for model, score in found.items()} == {"m": 1, "n": 1}
    assert (found["m"].said, found["n"].said) == (4, 4)


def test_a_model_that_took_over_is_judged_by_both_its_parts() -> None:
    decided = [("a", 1, "m", UP), ("a", 2, "n", DOWN)]
    shadows = [("a", 1, "n", DOWN), ("a", 2, "m", DOWN)]

    found = scores(decided, shadows, [10, 10, 12, 10])

    assert [(score.decided, score.compared) for score in found.values()] == [(1, 2), (1, 2)]
    assert (found["m"].auc, found["n"].auc) == (1.0, 0.5)
    assert (found["m"].agreement, found["n"].agreement) == (1.0, 0.5)


def test_an_outcome_that_was_given_no_chance_has_a_finite_loss() -> None:
    (score,) = scores([("a", 1, "m", (1.0, 0.0, 0.0))], [], [10, 10, 12]).values()

    assert score.log_loss == pytest.approx(-log(1e-15))


def test_models_that_never_spoke_of_the_same_are_told_with_their_counts() -> None:
    found = scores([("a", 1, "m", UP)], [("a", 2, "n", UP)], [10, 10, 12, 10])

    assert [(score.said, score.compared) for score in found.values()] == [(1, 0), (1, 0)]
    assert all(score.auc != score.auc for score in found.values())


def test_nothing_predicted_is_nothing_to_compare() -> None:
    with pytest.raises(UsageError, match="expected predictions, found none"):
        scores([], [], [10])
