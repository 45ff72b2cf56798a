-- What the trades of an interval did; one table an interval.

-- candle.second.v1
CREATE TABLE candle_second_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    event_time_ns bigint NOT NULL,
    end_time_ns bigint NOT NULL,
    open_ticks bigint NOT NULL,
    high_ticks bigint NOT NULL,
    low_ticks bigint NOT NULL,
    close_ticks bigint NOT NULL,
    vwap_ticks bigint NOT NULL,
    volume_lots bigint NOT NULL,
    trade_count bigint NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL
);
COMMENT ON COLUMN candle_second_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN candle_second_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN candle_second_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN candle_second_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN candle_second_v1.source IS 'The connection or file the trades came from';
COMMENT ON COLUMN candle_second_v1.event_time_ns IS 'Start of the interval, UTC nanoseconds; the first that is in it';
COMMENT ON COLUMN candle_second_v1.end_time_ns IS 'End of the interval, UTC nanoseconds; the first that is not in it';
COMMENT ON COLUMN candle_second_v1.open_ticks IS 'Price of the first trade by event time, then sequence';
COMMENT ON COLUMN candle_second_v1.high_ticks IS 'Highest price';
COMMENT ON COLUMN candle_second_v1.low_ticks IS 'Lowest price';
COMMENT ON COLUMN candle_second_v1.close_ticks IS 'Price of the last trade by event time, then sequence';
COMMENT ON COLUMN candle_second_v1.vwap_ticks IS 'Volume-weighted price to the nearest tick; within one tick of it where seconds were rolled up';
COMMENT ON COLUMN candle_second_v1.volume_lots IS 'Sum of the trades'' sizes';
COMMENT ON COLUMN candle_second_v1.trade_count IS 'Trades it sums';
COMMENT ON COLUMN candle_second_v1.first_sequence IS 'Sequence of the trade that opened it';
COMMENT ON COLUMN candle_second_v1.last_sequence IS 'Sequence of the trade that closed it';
CREATE INDEX ON candle_second_v1 (instrument, time DESC);
SELECT headrace.make_time_table('candle_second_v1', 'instrument');

-- candle.minute.v1
CREATE TABLE candle_minute_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    event_time_ns bigint NOT NULL,
    end_time_ns bigint NOT NULL,
    open_ticks bigint NOT NULL,
    high_ticks bigint NOT NULL,
    low_ticks bigint NOT NULL,
    close_ticks bigint NOT NULL,
    vwap_ticks bigint NOT NULL,
    volume_lots bigint NOT NULL,
    trade_count bigint NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL
);
COMMENT ON COLUMN candle_minute_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN candle_minute_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN candle_minute_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN candle_minute_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN candle_minute_v1.source IS 'The connection or file the trades came from';
COMMENT ON COLUMN candle_minute_v1.event_time_ns IS 'Start of the interval, UTC nanoseconds; the first that is in it';
COMMENT ON COLUMN candle_minute_v1.end_time_ns IS 'End of the interval, UTC nanoseconds; the first that is not in it';
COMMENT ON COLUMN candle_minute_v1.open_ticks IS 'Price of the first trade by event time, then sequence';
COMMENT ON COLUMN candle_minute_v1.high_ticks IS 'Highest price';
COMMENT ON COLUMN candle_minute_v1.low_ticks IS 'Lowest price';
COMMENT ON COLUMN candle_minute_v1.close_ticks IS 'Price of the last trade by event time, then sequence';
COMMENT ON COLUMN candle_minute_v1.vwap_ticks IS 'Volume-weighted price to the nearest tick; within one tick of it where seconds were rolled up';
COMMENT ON COLUMN candle_minute_v1.volume_lots IS 'Sum of the trades'' sizes';
COMMENT ON COLUMN candle_minute_v1.trade_count IS 'Trades it sums';
COMMENT ON COLUMN candle_minute_v1.first_sequence IS 'Sequence of the trade that opened it';
COMMENT ON COLUMN candle_minute_v1.last_sequence IS 'Sequence of the trade that closed it';
CREATE INDEX ON candle_minute_v1 (instrument, time DESC);
SELECT headrace.make_time_table('candle_minute_v1', 'instrument');

-- candle.hour.v1
CREATE TABLE candle_hour_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    event_time_ns bigint NOT NULL,
    end_time_ns bigint NOT NULL,
    open_ticks bigint NOT NULL,
    high_ticks bigint NOT NULL,
    low_ticks bigint NOT NULL,
    close_ticks bigint NOT NULL,
    vwap_ticks bigint NOT NULL,
    volume_lots bigint NOT NULL,
    trade_count bigint NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL
);
COMMENT ON COLUMN candle_hour_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN candle_hour_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN candle_hour_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN candle_hour_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN candle_hour_v1.source IS 'The connection or file the trades came from';
COMMENT ON COLUMN candle_hour_v1.event_time_ns IS 'Start of the interval, UTC nanoseconds; the first that is in it';
COMMENT ON COLUMN candle_hour_v1.end_time_ns IS 'End of the interval, UTC nanoseconds; the first that is not in it';
COMMENT ON COLUMN candle_hour_v1.open_ticks IS 'Price of the first trade by event time, then sequence';
COMMENT ON COLUMN candle_hour_v1.high_ticks IS 'Highest price';
COMMENT ON COLUMN candle_hour_v1.low_ticks IS 'Lowest price';
COMMENT ON COLUMN candle_hour_v1.close_ticks IS 'Price of the last trade by event time, then sequence';
COMMENT ON COLUMN candle_hour_v1.vwap_ticks IS 'Volume-weighted price to the nearest tick; within one tick of it where seconds were rolled up';
COMMENT ON COLUMN candle_hour_v1.volume_lots IS 'Sum of the trades'' sizes';
COMMENT ON COLUMN candle_hour_v1.trade_count IS 'Trades it sums';
COMMENT ON COLUMN candle_hour_v1.first_sequence IS 'Sequence of the trade that opened it';
COMMENT ON COLUMN candle_hour_v1.last_sequence IS 'Sequence of the trade that closed it';
CREATE INDEX ON candle_hour_v1 (instrument, time DESC);
SELECT headrace.make_time_table('candle_hour_v1', 'instrument');
