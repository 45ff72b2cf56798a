-- Trades by the minute, computed when asked for: without the community licence nothing rolls up.

CREATE VIEW candle_minute AS
SELECT
    date_bin('1 minute', time, 'epoch') AS minute,
    instrument,
    (array_agg(price_ticks ORDER BY sequence))[1] AS open_ticks,
    max(price_ticks) AS high_ticks,
    min(price_ticks) AS low_ticks,
    (array_agg(price_ticks ORDER BY sequence DESC))[1] AS close_ticks,
    sum(size_lots) AS volume_lots,
    count(*) AS trade_count
FROM market_trade_v1
GROUP BY 1, 2;
