"""Operators on event time that an agent calls with columns; their state is in the step's table."""

from headrace.operators.aggregates import (
    Aggregate,
    Count,
    FloatSum,
    Fold,
    IntSum,
    Mean,
    OneValue,
    Vwap,
    ohlcv,
)
from headrace.operators.as_of_join import AsOfJoin
from headrace.operators.deduplicate import Deduplicate, Distinct
from headrace.operators.held_rows import HeldRows
from headrace.operators.interval_join import IntervalJoin
from headrace.operators.latest_rows import LatestRows
from headrace.operators.lookup import Enriched, Lookup
from headrace.operators.rate_limit import Limited, RateLimit
from headrace.operators.reference_rows import ReferenceRows
from headrace.operators.rows import Rows
from headrace.operators.sides import Joined, Sides, sides_of
from headrace.operators.sketch import Quantile, Sketch
from headrace.operators.sliding import SlidingWindows
from headrace.operators.table import operator_table
from headrace.operators.table_joins import StreamTableJoin, TableTableJoin
from headrace.operators.window_kinds import Hopping, Session, tumbling
from headrace.operators.window_state import WindowState
from headrace.operators.windows import Windowed, Windows

__all__ = [
    "Aggregate",
    "AsOfJoin",
    "Count",
    "Deduplicate",
    "Distinct",
    "Enriched",
    "FloatSum",
    "Fold",
    "HeldRows",
    "Hopping",
    "IntSum",
    "IntervalJoin",
    "Joined",
    "LatestRows",
    "Limited",
    "Lookup",
    "Mean",
    "OneValue",
    "Quantile",
    "RateLimit",
    "ReferenceRows",
    "Rows",
    "Session",
    "Sides",
    "Sketch",
    "SlidingWindows",
    "StreamTableJoin",
    "TableTableJoin",
    "Vwap",
    "WindowState",
    "Windowed",
    "Windows",
    "ohlcv",
    "operator_table",
    "sides_of",
    "tumbling",
]
