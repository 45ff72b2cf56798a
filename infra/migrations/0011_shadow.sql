-- What models say that do not decide.

-- model.shadow.v1
CREATE TABLE model_shadow_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    instrument text NOT NULL,
    source text NOT NULL,
    sequence bigint NOT NULL,
    receive_time_ns bigint NOT NULL,
    model text NOT NULL,
    probability_down double precision NOT NULL,
    probability_flat double precision NOT NULL,
    probability_up double precision NOT NULL,
    horizon_ns bigint NOT NULL
);
COMMENT ON COLUMN model_shadow_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN model_shadow_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN model_shadow_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN model_shadow_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN model_shadow_v1.source IS 'The connection or file the trade came from';
COMMENT ON COLUMN model_shadow_v1.sequence IS 'Sequence of the trade that caused it; with instrument and source it names the vector';
COMMENT ON COLUMN model_shadow_v1.receive_time_ns IS 'When the frame was received, UTC nanoseconds';
COMMENT ON COLUMN model_shadow_v1.model IS 'Name and version of the model bundle';
COMMENT ON COLUMN model_shadow_v1.probability_down IS 'That the mid is lower after the horizon';
COMMENT ON COLUMN model_shadow_v1.probability_flat IS 'That it is unchanged';
COMMENT ON COLUMN model_shadow_v1.probability_up IS 'That it is higher';
COMMENT ON COLUMN model_shadow_v1.horizon_ns IS 'How far ahead';
CREATE INDEX ON model_shadow_v1 (instrument, time DESC);
SELECT headrace.make_time_table('model_shadow_v1', 'instrument');
