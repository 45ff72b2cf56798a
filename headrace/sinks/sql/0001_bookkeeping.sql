-- What the engine's sink keeps for itself.

CREATE TABLE headrace.sink_position (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    topology text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE headrace.sink_position IS
    'Offset the sink wants next; changed in the transaction that adds the rows before it';

CREATE TABLE headrace.rejected_row (
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    cause text NOT NULL,
    detail text NOT NULL,
    key bytea,
    value bytea NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, kafka_partition, kafka_offset)
);
COMMENT ON TABLE headrace.rejected_row IS
    'Records the database refused, as they stood in Kafka; they are dead-lettered as well';

CREATE TABLE headrace.time_table (
    name text PRIMARY KEY,
    keep interval
);
COMMENT ON TABLE headrace.time_table IS
    'Tables divided by time, and how long their rows are kept (null: for ever)';
