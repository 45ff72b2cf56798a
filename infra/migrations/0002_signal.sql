-- What was known and expected.

-- feature.vector.v1
CREATE TABLE feature_vector_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    sequence bigint NOT NULL,
    price_ticks bigint NOT NULL,
    size_lots bigint NOT NULL,
    event_time_ns bigint,
    receive_time_ns bigint NOT NULL,
    bid_price_ticks bigint NOT NULL,
    bid_size_lots bigint NOT NULL,
    ask_price_ticks bigint NOT NULL,
    ask_size_lots bigint NOT NULL,
    quote_time_ns bigint NOT NULL,
    quote_valid boolean NOT NULL,
    mid double precision NOT NULL,
    spread_bps double precision NOT NULL,
    queue_imbalance double precision NOT NULL,
    microprice double precision NOT NULL,
    aggressor_sign double precision NOT NULL,
    vwap_1s double precision NOT NULL,
    trade_count_1s double precision NOT NULL,
    signed_volume_1s double precision NOT NULL,
    return_bps_1s double precision NOT NULL,
    realized_vol_1s double precision NOT NULL,
    trade_imbalance_1s double precision NOT NULL,
    vwap_10s double precision NOT NULL,
    trade_count_10s double precision NOT NULL,
    signed_volume_10s double precision NOT NULL,
    return_bps_10s double precision NOT NULL,
    realized_vol_10s double precision NOT NULL,
    trade_imbalance_10s double precision NOT NULL,
    vwap_60s double precision NOT NULL,
    trade_count_60s double precision NOT NULL,
    signed_volume_60s double precision NOT NULL,
    return_bps_60s double precision NOT NULL,
    realized_vol_60s double precision NOT NULL,
    trade_imbalance_60s double precision NOT NULL,
    ofi_1s double precision NOT NULL,
    ofi_10s double precision NOT NULL
);
COMMENT ON COLUMN feature_vector_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN feature_vector_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN feature_vector_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN feature_vector_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN feature_vector_v1.sequence IS 'Sequence of the trade';
COMMENT ON COLUMN feature_vector_v1.price_ticks IS 'Price of the trade';
COMMENT ON COLUMN feature_vector_v1.size_lots IS 'Size of the trade';
COMMENT ON COLUMN feature_vector_v1.event_time_ns IS 'The venue''s own time, UTC nanoseconds; null where the frame carries none';
COMMENT ON COLUMN feature_vector_v1.receive_time_ns IS 'When the frame was received, UTC nanoseconds; never runs backwards within an instrument';
COMMENT ON COLUMN feature_vector_v1.bid_price_ticks IS 'Best bid before the trade; 0 before any quote';
COMMENT ON COLUMN feature_vector_v1.bid_size_lots IS 'Size at the best bid';
COMMENT ON COLUMN feature_vector_v1.ask_price_ticks IS 'Best ask before the trade; 0 before any quote';
COMMENT ON COLUMN feature_vector_v1.ask_size_lots IS 'Size at the best ask';
COMMENT ON COLUMN feature_vector_v1.quote_time_ns IS 'Receive time of that quote; 0 before any';
COMMENT ON COLUMN feature_vector_v1.quote_valid IS 'Whether there is a quote and it is not crossed';
COMMENT ON COLUMN feature_vector_v1.mid IS '(bid + ask) / 2, in price units';
COMMENT ON COLUMN feature_vector_v1.spread_bps IS '1e4 (ask - bid) / mid';
COMMENT ON COLUMN feature_vector_v1.queue_imbalance IS '(bid_size - ask_size) / (bid_size + ask_size)';
COMMENT ON COLUMN feature_vector_v1.microprice IS '(bid ask_size + ask bid_size) / (bid_size + ask_size), in price units';
COMMENT ON COLUMN feature_vector_v1.aggressor_sign IS '1 if the buyer took liquidity, -1 if the seller did, 0 if the venue does not say';
COMMENT ON COLUMN feature_vector_v1.vwap_1s IS 'Volume-weighted price of the last 1 s';
COMMENT ON COLUMN feature_vector_v1.trade_count_1s IS 'Trades in the last 1 s, this one included';
COMMENT ON COLUMN feature_vector_v1.signed_volume_1s IS 'Sum of sign times size over the last 1 s, in size units';
COMMENT ON COLUMN feature_vector_v1.return_bps_1s IS '1e4 ln(price / first price within the last 1 s)';
COMMENT ON COLUMN feature_vector_v1.realized_vol_1s IS 'Root of the summed squared log returns within the last 1 s';
COMMENT ON COLUMN feature_vector_v1.trade_imbalance_1s IS 'Sum of aggressor sign times size over sum of size, of the last 1 s';
COMMENT ON COLUMN feature_vector_v1.vwap_10s IS 'Volume-weighted price of the last 10 s';
COMMENT ON COLUMN feature_vector_v1.trade_count_10s IS 'Trades in the last 10 s, this one included';
COMMENT ON COLUMN feature_vector_v1.signed_volume_10s IS 'Sum of sign times size over the last 10 s, in size units';
COMMENT ON COLUMN feature_vector_v1.return_bps_10s IS '1e4 ln(price / first price within the last 10 s)';
COMMENT ON COLUMN feature_vector_v1.realized_vol_10s IS 'Root of the summed squared log returns within the last 10 s';
COMMENT ON COLUMN feature_vector_v1.trade_imbalance_10s IS 'Sum of aggressor sign times size over sum of size, of the last 10 s';
COMMENT ON COLUMN feature_vector_v1.vwap_60s IS 'Volume-weighted price of the last 60 s';
COMMENT ON COLUMN feature_vector_v1.trade_count_60s IS 'Trades in the last 60 s, this one included';
COMMENT ON COLUMN feature_vector_v1.signed_volume_60s IS 'Sum of sign times size over the last 60 s, in size units';
COMMENT ON COLUMN feature_vector_v1.return_bps_60s IS '1e4 ln(price / first price within the last 60 s)';
COMMENT ON COLUMN feature_vector_v1.realized_vol_60s IS 'Root of the summed squared log returns within the last 60 s';
COMMENT ON COLUMN feature_vector_v1.trade_imbalance_60s IS 'Sum of aggressor sign times size over sum of size, of the last 60 s';
COMMENT ON COLUMN feature_vector_v1.ofi_1s IS 'Order flow imbalance over the last 1 s (Cont, Kukanov, Stoikov), in size units';
COMMENT ON COLUMN feature_vector_v1.ofi_10s IS 'Order flow imbalance over the last 10 s, in size units';
CREATE INDEX ON feature_vector_v1 (instrument, time DESC);
SELECT headrace.make_time_table('feature_vector_v1', 'instrument');

-- signal.prediction.v1
CREATE TABLE signal_prediction_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    sequence bigint NOT NULL,
    receive_time_ns bigint NOT NULL,
    model text NOT NULL,
    probability_down double precision NOT NULL,
    probability_flat double precision NOT NULL,
    probability_up double precision NOT NULL,
    horizon_ns bigint NOT NULL,
    bid_price_ticks bigint NOT NULL,
    bid_size_lots bigint NOT NULL,
    ask_price_ticks bigint NOT NULL,
    ask_size_lots bigint NOT NULL,
    quote_time_ns bigint NOT NULL,
    quote_valid boolean NOT NULL
);
COMMENT ON COLUMN signal_prediction_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN signal_prediction_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN signal_prediction_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN signal_prediction_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN signal_prediction_v1.sequence IS 'Sequence of the trade that caused it; with the instrument it names the signal';
COMMENT ON COLUMN signal_prediction_v1.receive_time_ns IS 'When the frame was received, UTC nanoseconds; never runs backwards within an instrument';
COMMENT ON COLUMN signal_prediction_v1.model IS 'Name and version of the model bundle';
COMMENT ON COLUMN signal_prediction_v1.probability_down IS 'That the mid is lower after the horizon';
COMMENT ON COLUMN signal_prediction_v1.probability_flat IS 'That it is unchanged';
COMMENT ON COLUMN signal_prediction_v1.probability_up IS 'That it is higher';
COMMENT ON COLUMN signal_prediction_v1.horizon_ns IS 'How far ahead';
COMMENT ON COLUMN signal_prediction_v1.bid_price_ticks IS 'Best bid before the trade; 0 before any quote';
COMMENT ON COLUMN signal_prediction_v1.bid_size_lots IS 'Size at the best bid';
COMMENT ON COLUMN signal_prediction_v1.ask_price_ticks IS 'Best ask before the trade; 0 before any quote';
COMMENT ON COLUMN signal_prediction_v1.ask_size_lots IS 'Size at the best ask';
COMMENT ON COLUMN signal_prediction_v1.quote_time_ns IS 'Receive time of that quote; 0 before any';
COMMENT ON COLUMN signal_prediction_v1.quote_valid IS 'Whether there is a quote and it is not crossed';
CREATE INDEX ON signal_prediction_v1 (instrument, time DESC);
SELECT headrace.make_time_table('signal_prediction_v1', 'instrument');
