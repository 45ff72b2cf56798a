-- Futures against spot: the legs in one unit, the basis, and what it signals.

-- arbitrage.quote.v1
CREATE TABLE arbitrage_quote_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    asset text NOT NULL,
    leg text NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    sequence bigint NOT NULL,
    bid_price_e8 bigint NOT NULL,
    ask_price_e8 bigint NOT NULL,
    receive_time_ns bigint NOT NULL
);
COMMENT ON COLUMN arbitrage_quote_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN arbitrage_quote_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN arbitrage_quote_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN arbitrage_quote_v1.asset IS 'What all legs are prices of, such as BTC';
COMMENT ON COLUMN arbitrage_quote_v1.leg IS 'Which side of a basis it is';
COMMENT ON COLUMN arbitrage_quote_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN arbitrage_quote_v1.source IS 'The connection or file the frame came from';
COMMENT ON COLUMN arbitrage_quote_v1.sequence IS 'Sequence of the quote within its stream';
COMMENT ON COLUMN arbitrage_quote_v1.bid_price_e8 IS 'Best bid, quote currency times 10^8; above 0';
COMMENT ON COLUMN arbitrage_quote_v1.ask_price_e8 IS 'Best ask, quote currency times 10^8; not below the bid';
COMMENT ON COLUMN arbitrage_quote_v1.receive_time_ns IS 'When the frame was received, UTC nanoseconds';
CREATE INDEX ON arbitrage_quote_v1 (asset, time DESC);
SELECT headrace.make_time_table('arbitrage_quote_v1', 'asset');

-- arbitrage.basis.v1
CREATE TABLE arbitrage_basis_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    asset text NOT NULL,
    future text NOT NULL,
    spot text NOT NULL,
    source text NOT NULL,
    sequence bigint NOT NULL,
    receive_time_ns bigint NOT NULL,
    spot_time_ns bigint NOT NULL,
    basis_bps_e4 bigint NOT NULL,
    mean_bps_e4 bigint,
    z_score_e4 bigint
);
COMMENT ON COLUMN arbitrage_basis_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN arbitrage_basis_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN arbitrage_basis_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN arbitrage_basis_v1.asset IS 'What both are prices of';
COMMENT ON COLUMN arbitrage_basis_v1.future IS 'Instrument of the future';
COMMENT ON COLUMN arbitrage_basis_v1.spot IS 'Instrument of the spot quote it is held against';
COMMENT ON COLUMN arbitrage_basis_v1.source IS 'The connection or file of the future''s quote';
COMMENT ON COLUMN arbitrage_basis_v1.sequence IS 'Sequence of the future''s quote within its stream';
COMMENT ON COLUMN arbitrage_basis_v1.receive_time_ns IS 'When the future''s quote was received, UTC nanoseconds';
COMMENT ON COLUMN arbitrage_basis_v1.spot_time_ns IS 'When the spot quote was received, UTC nanoseconds; at or before the future''s';
COMMENT ON COLUMN arbitrage_basis_v1.basis_bps_e4 IS '(future mid / spot mid - 1), basis points times 10^4, to the nearest';
COMMENT ON COLUMN arbitrage_basis_v1.mean_bps_e4 IS 'Mean of the basis over the minute before, to the nearest; null before there are samples enough';
COMMENT ON COLUMN arbitrage_basis_v1.z_score_e4 IS 'Standard deviations from that mean, times 10^4; null before there are samples enough, or if they are all alike';
CREATE INDEX ON arbitrage_basis_v1 (asset, time DESC);
SELECT headrace.make_time_table('arbitrage_basis_v1', 'asset');

-- arbitrage.signal.v1
CREATE TABLE arbitrage_signal_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    asset text NOT NULL,
    future text NOT NULL,
    spot text NOT NULL,
    source text NOT NULL,
    sequence bigint NOT NULL,
    receive_time_ns bigint NOT NULL,
    action text NOT NULL,
    basis_bps_e4 bigint NOT NULL,
    mean_bps_e4 bigint NOT NULL,
    z_score_e4 bigint NOT NULL,
    future_bid_price_e8 bigint NOT NULL,
    future_ask_price_e8 bigint NOT NULL,
    spot_bid_price_e8 bigint NOT NULL,
    spot_ask_price_e8 bigint NOT NULL
);
COMMENT ON COLUMN arbitrage_signal_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN arbitrage_signal_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN arbitrage_signal_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN arbitrage_signal_v1.asset IS 'What both are prices of';
COMMENT ON COLUMN arbitrage_signal_v1.future IS 'Instrument of the future';
COMMENT ON COLUMN arbitrage_signal_v1.spot IS 'Instrument of the spot quote';
COMMENT ON COLUMN arbitrage_signal_v1.source IS 'The connection or file of the future''s quote';
COMMENT ON COLUMN arbitrage_signal_v1.sequence IS 'Sequence of the future''s quote; with future and source it names the signal';
COMMENT ON COLUMN arbitrage_signal_v1.receive_time_ns IS 'When the future''s quote was received, UTC nanoseconds';
COMMENT ON COLUMN arbitrage_signal_v1.action IS 'SELL_FUTURE: it is dear, buy spot against it; BUY_FUTURE: it is cheap; CLOSE: it is as usual again';
COMMENT ON COLUMN arbitrage_signal_v1.basis_bps_e4 IS 'Basis at that quote, basis points times 10^4';
COMMENT ON COLUMN arbitrage_signal_v1.mean_bps_e4 IS 'Mean of the minute before';
COMMENT ON COLUMN arbitrage_signal_v1.z_score_e4 IS 'Standard deviations from that mean, times 10^4';
COMMENT ON COLUMN arbitrage_signal_v1.future_bid_price_e8 IS 'Best bid of the future, quote currency times 10^8';
COMMENT ON COLUMN arbitrage_signal_v1.future_ask_price_e8 IS 'Best ask of the future';
COMMENT ON COLUMN arbitrage_signal_v1.spot_bid_price_e8 IS 'Best bid of spot';
COMMENT ON COLUMN arbitrage_signal_v1.spot_ask_price_e8 IS 'Best ask of spot';
CREATE INDEX ON arbitrage_signal_v1 (asset, time DESC);
SELECT headrace.make_time_table('arbitrage_signal_v1', 'asset');
