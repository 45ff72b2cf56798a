"""The trading graph with a second model: it predicts in shadow, and may be told to decide."""

from dataclasses import replace
from pathlib import Path

from agents.contest_direction import TABLE as CHOICE_BY_INSTRUMENT
from agents.contest_direction import contest_direction
from agents.direction.shadow import ShadowRule
from headrace import Sink, Step
from schemas import topics as t
from topologies._controls import model_control
from topologies.trading import TOPOLOGY as TRADING

CONTEST = Step(
    "inference",
    contest_direction,
    reads=(t.MODEL_CONTROL, t.FEATURE),
    writes=(t.PREDICTION, t.SHADOW),
    table=CHOICE_BY_INSTRUMENT,
    model=Path("models/direction"),
    challengers=(Path("models/direction_imbalance"),),
    parameters={"shadow": ShadowRule()},
)

TOPOLOGY = replace(
    TRADING,
    name="trading_challenger",
    steps=tuple(CONTEST if step.name == "inference" else step for step in TRADING.steps),
    sinks=(
        Sink("postgres", (*t.OUTPUTS, t.SHADOW)),
        Sink("redis", (*t.OUTPUTS, t.SHADOW)),
    ),
    controls=(*TRADING.controls, model_control()),
)
