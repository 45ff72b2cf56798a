-- Time tables on plain PostgreSQL: declarative partitions, made by the sink as data arrives.

-- The table just made becomes the default partition of one that looks the same.
CREATE FUNCTION headrace.make_time_table(of_table text, segment_by text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I RENAME TO %I', of_table, of_table || '_other');
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (time)',
                   of_table, of_table || '_other');
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', of_table, of_table || '_other');
    INSERT INTO headrace.time_table (name) VALUES (of_table);
END $$;

-- Attaching locks the default partition alone, so writers of the others go on. Where that lock is
-- not to be had soon, or the default partition holds rows of the span already, rows go there.
CREATE FUNCTION headrace.make_partitions(of_table text, starts date[], days integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    start date;
    part text;
    lower_bound timestamptz;
    upper_bound timestamptz;
    taken boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('headrace.make_partitions'), hashtext(of_table));
    PERFORM set_config('lock_timeout', '2s', true);
    FOREACH start IN ARRAY starts LOOP
        part := of_table || to_char(start, '"_p"YYYYMMDD');
        CONTINUE WHEN to_regclass(format('%I', part)) IS NOT NULL;
        lower_bound := start::timestamp AT TIME ZONE 'UTC';
        upper_bound := (start + days)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE time >= %L AND time < %L)',
                       of_table || '_other', lower_bound, upper_bound) INTO taken;
        CONTINUE WHEN taken;
        BEGIN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                           part, of_table);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           of_table, part, lower_bound, upper_bound);
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE;
        END;
    END LOOP;
END $$;

-- Returns how many partitions went; late rows in the default partition go one by one.
CREATE FUNCTION headrace.drop_before(of_table text, before timestamptz)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    part regclass;
    dropped bigint := 0;
BEGIN
    FOR part IN
        SELECT child.oid::regclass
        FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
        WHERE inhparent = format('%I', of_table)::regclass
          AND substring(pg_get_expr(child.relpartbound, child.oid)
                        FROM 'TO \(''([^'']+)''\)')::timestamptz <= before
    LOOP
        EXECUTE format('DROP TABLE %s', part);
        dropped := dropped + 1;
    END LOOP;
    EXECUTE format('DELETE FROM %I WHERE time < %L', of_table || '_other', before);
    RETURN dropped;
END $$;

CREATE FUNCTION headrace.set_retention(of_table text, keep_for interval)
RETURNS void LANGUAGE sql AS $$
    UPDATE headrace.time_table SET keep = keep_for WHERE name = of_table
$$;

CREATE FUNCTION headrace.drop_expired() RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(sum(headrace.drop_before(name, now() - keep)), 0)::bigint
    FROM headrace.time_table WHERE keep IS NOT NULL
$$;
