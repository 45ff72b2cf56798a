-- Time tables on TimescaleDB's Apache edition: hypertables; the sink drops what has expired.

CREATE FUNCTION headrace.make_time_table(of_table text, segment_by text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_hypertable(format('%I', of_table)::regclass,
                              by_range('time', INTERVAL '7 days'),
                              create_default_indexes => false);
    INSERT INTO headrace.time_table (name) VALUES (of_table);
END $$;

-- Returns how many chunks went.
CREATE FUNCTION headrace.drop_before(of_table text, before timestamptz)
RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM drop_chunks(format('%I', of_table)::regclass, older_than => before)
$$;

CREATE FUNCTION headrace.set_retention(of_table text, keep_for interval)
RETURNS void LANGUAGE sql AS $$
    UPDATE headrace.time_table SET keep = keep_for WHERE name = of_table
$$;

CREATE FUNCTION headrace.drop_expired() RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(sum(headrace.drop_before(name, now() - keep)), 0)::bigint
    FROM headrace.time_table WHERE keep IS NOT NULL
$$;
