-- What the market did.

-- market.instrument.v1
CREATE TABLE market_instrument_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    price_scale integer NOT NULL,
    size_scale integer NOT NULL,
    kind text NOT NULL,
    contract_value_e8 bigint NOT NULL
);
COMMENT ON COLUMN market_instrument_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN market_instrument_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN market_instrument_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN market_instrument_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN market_instrument_v1.venue IS 'The venue';
COMMENT ON COLUMN market_instrument_v1.symbol IS 'The venue''s own name for it';
COMMENT ON COLUMN market_instrument_v1.price_scale IS 'Decimal digits of one price tick: price = price_ticks / 10^price_scale';
COMMENT ON COLUMN market_instrument_v1.size_scale IS 'Decimal digits of one lot: size = size_lots / 10^size_scale';
COMMENT ON COLUMN market_instrument_v1.kind IS 'SPOT and LINEAR settle in the quote currency, INVERSE in the base currency';
COMMENT ON COLUMN market_instrument_v1.contract_value_e8 IS 'Worth of one unit of size in the quote currency times 10^8 (INVERSE only; else 0)';
ALTER TABLE market_instrument_v1 ADD PRIMARY KEY (kafka_partition, kafka_offset);
CREATE INDEX ON market_instrument_v1 (instrument, kafka_offset DESC);

-- market.trade.v1
CREATE TABLE market_trade_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    sequence bigint NOT NULL,
    trade_id bigint,
    price_ticks bigint NOT NULL,
    size_lots bigint NOT NULL,
    aggressor text NOT NULL,
    event_time_ns bigint,
    receive_time_ns bigint NOT NULL,
    source_sequence bigint NOT NULL
);
COMMENT ON COLUMN market_trade_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN market_trade_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN market_trade_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN market_trade_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN market_trade_v1.source IS 'The connection or file the frame came from';
COMMENT ON COLUMN market_trade_v1.sequence IS 'Position among all trades and quotes of the instrument from this source, from 1, without gaps';
COMMENT ON COLUMN market_trade_v1.trade_id IS 'The venue''s trade id; null where it gives none';
COMMENT ON COLUMN market_trade_v1.price_ticks IS 'Price times 10^price_scale';
COMMENT ON COLUMN market_trade_v1.size_lots IS 'Size times 10^size_scale; above 0';
COMMENT ON COLUMN market_trade_v1.aggressor IS 'The side that took liquidity';
COMMENT ON COLUMN market_trade_v1.event_time_ns IS 'The venue''s own time, UTC nanoseconds; null where the frame carries none';
COMMENT ON COLUMN market_trade_v1.receive_time_ns IS 'When the frame was received, UTC nanoseconds; never runs backwards within an instrument';
COMMENT ON COLUMN market_trade_v1.source_sequence IS 'Sequence of the frame it came from, within its source';
CREATE INDEX ON market_trade_v1 (instrument, time DESC);
SELECT headrace.make_time_table('market_trade_v1', 'instrument');

-- Most of what is stored: a B-tree on it would double what a row costs to add, and charts read
-- spans of time, which the block ranges answer.
-- market.quote.v1
CREATE TABLE market_quote_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    sequence bigint NOT NULL,
    update_id bigint,
    bid_price_ticks bigint NOT NULL,
    bid_size_lots bigint NOT NULL,
    ask_price_ticks bigint NOT NULL,
    ask_size_lots bigint NOT NULL,
    event_time_ns bigint,
    receive_time_ns bigint NOT NULL,
    source_sequence bigint NOT NULL
);
COMMENT ON COLUMN market_quote_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN market_quote_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN market_quote_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN market_quote_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN market_quote_v1.source IS 'The connection or file the frame came from';
COMMENT ON COLUMN market_quote_v1.sequence IS 'Position among all trades and quotes of the instrument from this source, from 1, without gaps';
COMMENT ON COLUMN market_quote_v1.update_id IS 'The venue''s update id; null where it gives none';
COMMENT ON COLUMN market_quote_v1.bid_price_ticks IS 'Best bid';
COMMENT ON COLUMN market_quote_v1.bid_size_lots IS 'Size at the best bid';
COMMENT ON COLUMN market_quote_v1.ask_price_ticks IS 'Best ask';
COMMENT ON COLUMN market_quote_v1.ask_size_lots IS 'Size at the best ask';
COMMENT ON COLUMN market_quote_v1.event_time_ns IS 'The venue''s own time, UTC nanoseconds; null where the frame carries none';
COMMENT ON COLUMN market_quote_v1.receive_time_ns IS 'When the frame was received, UTC nanoseconds; never runs backwards within an instrument';
COMMENT ON COLUMN market_quote_v1.source_sequence IS 'Sequence of the frame it came from, within its source';
CREATE INDEX ON market_quote_v1 USING brin (time);
SELECT headrace.make_time_table('market_quote_v1', 'instrument');

-- Most of what is stored: a B-tree on it would double what a row costs to add, and charts read
-- spans of time, which the block ranges answer.
-- market.book.v1
CREATE TABLE market_book_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    update_id bigint,
    integrity text NOT NULL,
    bid_price_ticks bigint[] NOT NULL,
    bid_size_lots bigint[] NOT NULL,
    ask_price_ticks bigint[] NOT NULL,
    ask_size_lots bigint[] NOT NULL,
    bid_levels integer NOT NULL,
    ask_levels integer NOT NULL,
    event_time_ns bigint,
    receive_time_ns bigint NOT NULL,
    source_sequence bigint NOT NULL
);
COMMENT ON COLUMN market_book_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN market_book_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN market_book_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN market_book_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN market_book_v1.source IS 'The connection or file the frame came from';
COMMENT ON COLUMN market_book_v1.update_id IS 'The venue''s last update id in the book';
COMMENT ON COLUMN market_book_v1.integrity IS 'Only VALID may be acted on';
COMMENT ON COLUMN market_book_v1.bid_price_ticks IS 'Best first, at most 10; empty unless VALID';
COMMENT ON COLUMN market_book_v1.bid_size_lots IS 'Sizes of the bids';
COMMENT ON COLUMN market_book_v1.ask_price_ticks IS 'Best first, at most 10; empty unless VALID';
COMMENT ON COLUMN market_book_v1.ask_size_lots IS 'Sizes of the asks';
COMMENT ON COLUMN market_book_v1.bid_levels IS 'Levels held on the bid side';
COMMENT ON COLUMN market_book_v1.ask_levels IS 'Levels held on the ask side';
COMMENT ON COLUMN market_book_v1.event_time_ns IS 'The venue''s own time, UTC nanoseconds; null where the frame carries none';
COMMENT ON COLUMN market_book_v1.receive_time_ns IS 'When the frame was received, UTC nanoseconds; never runs backwards within an instrument';
COMMENT ON COLUMN market_book_v1.source_sequence IS 'Sequence of the frame it came from, within its source';
CREATE INDEX ON market_book_v1 USING brin (time);
SELECT headrace.make_time_table('market_book_v1', 'instrument');
