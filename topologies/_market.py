"""The steps that several graphs begin with: from frames to market data, features, predictions."""

from pathlib import Path

from agents.build_features import WINDOWS_BY_STREAM, build_features
from agents.ingest_frames import MARKET_BY_SOURCE, ingest_frames
from agents.predict_direction import predict_direction
from headrace import Step
from schemas import topics as t

INGEST = Step(
    "ingest",
    ingest_frames,
    reads=(t.FRAME,),
    writes=(t.TRADE, t.QUOTE, t.BOOK, t.INSTRUMENT),
    table=MARKET_BY_SOURCE,
)

FEATURES = Step(
    "features",
    build_features,
    reads=(t.TRADE, t.QUOTE),
    merge=("source", "instrument"),
    writes=(t.FEATURE,),
    table=WINDOWS_BY_STREAM,
)

INFERENCE = Step(
    "inference",
    predict_direction,
    reads=(t.FEATURE,),
    writes=(t.PREDICTION,),
    model=Path("models/direction"),
)
