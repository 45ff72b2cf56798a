-- Trades by the minute, kept up to date by the server.

CREATE MATERIALIZED VIEW candle_minute WITH (
    timescaledb.continuous, timescaledb.materialized_only = false
) AS
SELECT
    time_bucket(INTERVAL '1 minute', time) AS minute,
    instrument,
    first(price_ticks, sequence) AS open_ticks,
    max(price_ticks) AS high_ticks,
    min(price_ticks) AS low_ticks,
    last(price_ticks, sequence) AS close_ticks,
    sum(size_lots) AS volume_lots,
    count(*) AS trade_count
FROM market_trade_v1
GROUP BY 1, 2
WITH NO DATA;

SELECT add_continuous_aggregate_policy(
    'candle_minute',
    start_offset => INTERVAL '7 days',
    end_offset => INTERVAL '1 minute',
    schedule_interval => INTERVAL '1 minute'
);
