"""What models that do not decide say of the same vectors: kept aside, to be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from agents.direction.prediction import PREDICTION_SCHEMA, answer, made_columns
from headrace.batch import IntArray
from headrace.errors import UsageError
from headrace.inference import Model

FIELDS_KEPT = ("instrument", "source", "sequence", "receive_time_ns")
SHADOW_SCHEMA = pa.schema(
    list(PREDICTION_SCHEMA)[: PREDICTION_SCHEMA.names.index("bid_price_ticks")]
)


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """Which vectors are predicted in shadow: those whose sequence is a multiple of `every`."""

    every: int = 1

    def __post_init__(self) -> None:
        """Refuse a rule that no vector could keep.

        Raises:  UsageError.
        """
        if self.every < 1:
            raise UsageError(f"ShadowRule(every=…): expected 1 or more, found {self.every}")


class Shadows(NamedTuple):
    """Predictions in shadow, by vector, then by model; the row of each; how many were refused."""

    records: pa.RecordBatch | None
    rows: IntArray
    refused: int


def shadow_predictions(
    records: pa.RecordBatch,
    rows: IntArray,
    deciders: IntArray,
    models: Sequence[Model],
    rule: ShadowRule,
) -> Shadows:
    """Return what each model says of the sampled rows where it does not decide.

    Shapes:  rows (n,) of `records`; deciders has a place in `models` for each record.
    """
    if rule.every > 1:
        sequences = records.column("sequence").to_numpy()
        rows = rows[sequences[rows] % rule.every == 0]
    found, places, made_of, refused = [], [], [], 0
    for place, model in enumerate(models):
        mine = rows[deciders[rows] != place]
        if not len(mine):
            continue
        answers = answer(records, mine, model)
        refused += len(answers.dead)
        if len(answers.rows):
            found.append(_shadows(records, answers.rows, made_columns(answers.values, model)))
            places.append(np.full(len(answers.rows), place))
            made_of.append(answers.rows)
    if not found:
        return Shadows(None, np.empty(0, np.int64), refused)
    every_row = np.concatenate(made_of)
    order = np.lexsort((np.concatenate(places), every_row))
    whole = pa.concat_batches(found)
    return Shadows(whole.take(pa.array(order)), every_row[order], refused)


def _shadows(records: pa.RecordBatch, rows: IntArray, made: dict[str, pa.Array]) -> pa.RecordBatch:
    kept = records.select(FIELDS_KEPT).take(pa.array(rows))
    columns = dict(zip(FIELDS_KEPT, kept.columns, strict=True)) | made
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in SHADOW_SCHEMA.names], schema=SHADOW_SCHEMA
    )
