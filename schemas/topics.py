"""The topics of the reference pipeline."""

from headrace import Topic

BY_INSTRUMENT = ("instrument",)
BY_ACCOUNT = ("account",)
BY_ASSET = ("asset",)

FRAME = Topic("market.frame.v1", "frame.v1", key=("source",))
INSTRUMENT = Topic("market.instrument.v1", "instrument.v1", key=BY_INSTRUMENT, cleanup="compact")
TRADE = Topic("market.trade.v1", "trade.v1", key=BY_INSTRUMENT)
QUOTE = Topic("market.quote.v1", "quote.v1", key=BY_INSTRUMENT)
BOOK = Topic("market.book.v1", "book.v1", key=BY_INSTRUMENT)
FEATURE = Topic("feature.vector.v1", "feature_vector.v1", key=BY_INSTRUMENT)
PREDICTION = Topic("signal.prediction.v1", "prediction.v1", key=BY_INSTRUMENT)
SHADOW = Topic("model.shadow.v1", "shadow_prediction.v1", key=BY_INSTRUMENT)
MODEL_CONTROL = Topic(
    "model.control.v1", "model_control.v1", key=BY_INSTRUMENT, cleanup="compact", spoken=True
)
ANOMALY = Topic("monitor.anomaly.v1", "anomaly.v1", key=BY_INSTRUMENT)
DRIFT = Topic("monitor.drift.v1", "drift.v1", key=BY_INSTRUMENT)
PREDICTION_DRIFT = Topic("prediction.drift.v1", "prediction_drift.v1", key=BY_INSTRUMENT)
ACCOUNT_CONTROL = Topic(
    "account.control.v1", "account_control.v1", key=BY_ACCOUNT, cleanup="compact", spoken=True
)
ORDER_REQUEST = Topic("order.request.v1", "order_request.v1", key=BY_ACCOUNT)
ORDER_APPROVED = Topic("order.approved.v1", "order_approved.v1", key=BY_ACCOUNT)
ORDER_REJECTED = Topic("order.rejected.v1", "order_rejected.v1", key=BY_ACCOUNT)
ORDER_EVENT = Topic("order.event.v1", "order_event.v1", key=BY_ACCOUNT)
VENUE_ORDER = Topic("venue.order.v1", "venue_order.v1", key=BY_INSTRUMENT)
VENUE_REPORT = Topic("venue.report.v1", "venue_report.v1", key=BY_ACCOUNT)
POSITION = Topic(
    "position.v1",
    "position.v1",
    key=("account", "instrument"),
    partition_by=BY_ACCOUNT,
    cleanup="compact",
)
CANDLE_SECOND = Topic("candle.second.v1", "candle.v1", key=BY_INSTRUMENT)
CANDLE_MINUTE = Topic("candle.minute.v1", "candle.v1", key=BY_INSTRUMENT)
CANDLE_HOUR = Topic("candle.hour.v1", "candle.v1", key=BY_INSTRUMENT)
ASSET_QUOTE = Topic("arbitrage.quote.v1", "asset_quote.v1", key=BY_ASSET)
BASIS = Topic("arbitrage.basis.v1", "basis.v1", key=BY_ASSET)
BASIS_SIGNAL = Topic("arbitrage.signal.v1", "basis_signal.v1", key=BY_ASSET)

OUTPUTS = (
    INSTRUMENT,
    TRADE,
    QUOTE,
    BOOK,
    FEATURE,
    PREDICTION,
    ORDER_REQUEST,
    ORDER_APPROVED,
    ORDER_REJECTED,
    VENUE_ORDER,
    VENUE_REPORT,
    ORDER_EVENT,
    POSITION,
)
"""What dashboards of trading consume: everything it writes but the raw frames."""

MONITOR = (ANOMALY, DRIFT, PREDICTION_DRIFT)
"""What alarms are made of."""

CANDLES = (INSTRUMENT, CANDLE_SECOND, CANDLE_MINUTE, CANDLE_HOUR)
"""What charts consume: candles, and the scales of what they count."""

ARBITRAGE = (BASIS, BASIS_SIGNAL)
"""What those who trade one market against another consume."""
