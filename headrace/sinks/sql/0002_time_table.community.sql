-- Time tables under TimescaleDB's community licence: hypertables that the server itself compresses
-- and expires.

CREATE FUNCTION headrace.make_time_table(of_table text, segment_by text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_hypertable(format('%I', of_table)::regclass,
                              by_range('time', INTERVAL '7 days'),
                              create_default_indexes => false);
    IF segment_by IS NULL THEN
        EXECUTE format('ALTER TABLE %I SET (timescaledb.compress, '
                       'timescaledb.compress_orderby = ''time DESC'')', of_table);
    ELSE
        EXECUTE format('ALTER TABLE %I SET (timescaledb.compress, '
                       'timescaledb.compress_orderby = ''time DESC'', '
                       'timescaledb.compress_segmentby = %L)', of_table, segment_by);
    END IF;
    PERFORM add_compression_policy(format('%I', of_table)::regclass, INTERVAL '14 days');
    INSERT INTO headrace.time_table (name) VALUES (of_table);
END $$;

-- Returns how many chunks went.
CREATE FUNCTION headrace.drop_before(of_table text, before timestamptz)
RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM drop_chunks(format('%I', of_table)::regclass, older_than => before)
$$;

CREATE FUNCTION headrace.set_retention(of_table text, keep_for interval)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM remove_retention_policy(format('%I', of_table)::regclass, if_exists => true);
    IF keep_for IS NOT NULL THEN
        PERFORM add_retention_policy(format('%I', of_table)::regclass, keep_for);
    END IF;
    UPDATE headrace.time_table SET keep = keep_for WHERE name = of_table;
END $$;

-- The server's own policy does it.
CREATE FUNCTION headrace.drop_expired() RETURNS bigint LANGUAGE sql AS $$ SELECT 0::bigint $$;
