-- What a dashboard asks for first: the newest state of what is keyed, and prices as decimals.

CREATE VIEW latest_instrument AS
SELECT DISTINCT ON (instrument) *
FROM market_instrument_v1
ORDER BY instrument, kafka_offset DESC;

CREATE VIEW latest_account_control AS
SELECT DISTINCT ON (account) *
FROM account_control_v1
ORDER BY account, kafka_offset DESC;

CREATE VIEW latest_position AS
SELECT DISTINCT ON (p.account, p.instrument)
    p.account,
    p.instrument,
    trim_scale(p.quantity_lots * 10::numeric ^ -i.size_scale) AS quantity,
    trim_scale(p.cash_e8 * 1e-8) AS cash,
    trim_scale(p.fees_e8 * 1e-8) AS fees,
    trim_scale(p.profit_e8 * 1e-8) AS profit,
    trim_scale(p.mark_price_ticks * 10::numeric ^ -i.price_scale) AS mark_price,
    p.fill_count,
    p.quantity_lots,
    p.time
FROM position_v1 AS p
LEFT JOIN latest_instrument AS i USING (instrument)
ORDER BY p.account, p.instrument, p.kafka_offset DESC;

CREATE VIEW trade AS
SELECT
    t.time,
    t.instrument,
    t.sequence,
    trim_scale(t.price_ticks * 10::numeric ^ -i.price_scale) AS price,
    trim_scale(t.size_lots * 10::numeric ^ -i.size_scale) AS size,
    t.aggressor
FROM market_trade_v1 AS t
LEFT JOIN latest_instrument AS i USING (instrument);

CREATE VIEW quote AS
SELECT
    q.time,
    q.instrument,
    q.sequence,
    trim_scale(q.bid_price_ticks * 10::numeric ^ -i.price_scale) AS bid_price,
    trim_scale(q.bid_size_lots * 10::numeric ^ -i.size_scale) AS bid_size,
    trim_scale(q.ask_price_ticks * 10::numeric ^ -i.price_scale) AS ask_price,
    trim_scale(q.ask_size_lots * 10::numeric ^ -i.size_scale) AS ask_size
FROM market_quote_v1 AS q
LEFT JOIN latest_instrument AS i USING (instrument);

-- Every order as it stands now.
CREATE VIEW latest_order AS
SELECT DISTINCT ON (client_order_id)
    client_order_id,
    account,
    strategy,
    instrument,
    side,
    state,
    quantity_lots,
    filled_lots,
    reason,
    request_id,
    approval_id,
    signal_sequence,
    time
FROM order_event_v1
ORDER BY client_order_id, event_sequence DESC;
