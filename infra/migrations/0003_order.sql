-- What was asked for, allowed, done and held.

-- account.control.v1
CREATE TABLE account_control_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    account text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    event_time_ns bigint NOT NULL
);
COMMENT ON COLUMN account_control_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN account_control_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN account_control_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN account_control_v1.account IS 'Which';
COMMENT ON COLUMN account_control_v1.state IS 'REDUCING allows only orders that make the position smaller';
COMMENT ON COLUMN account_control_v1.reason IS 'Why';
COMMENT ON COLUMN account_control_v1.event_time_ns IS 'When';
ALTER TABLE account_control_v1 ADD PRIMARY KEY (kafka_partition, kafka_offset);
CREATE INDEX ON account_control_v1 (account, kafka_offset DESC);

-- order.request.v1
CREATE TABLE order_request_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    request_id text NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    instrument text NOT NULL,
    signal_sequence bigint NOT NULL,
    side text NOT NULL,
    quantity_lots bigint NOT NULL,
    limit_price_ticks bigint NOT NULL,
    bid_price_ticks bigint NOT NULL,
    ask_price_ticks bigint NOT NULL,
    quote_time_ns bigint NOT NULL,
    quote_valid boolean NOT NULL,
    request_time_ns bigint NOT NULL
);
COMMENT ON COLUMN order_request_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN order_request_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN order_request_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN order_request_v1.request_id IS 'Hash of account, strategy, instrument and signal: one live order a signal';
COMMENT ON COLUMN order_request_v1.account IS 'Who trades';
COMMENT ON COLUMN order_request_v1.strategy IS 'Which rule asks';
COMMENT ON COLUMN order_request_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN order_request_v1.signal_sequence IS 'Sequence of the prediction that caused it';
COMMENT ON COLUMN order_request_v1.side IS 'BUY or SELL';
COMMENT ON COLUMN order_request_v1.quantity_lots IS 'How much';
COMMENT ON COLUMN order_request_v1.limit_price_ticks IS 'Worst price accepted';
COMMENT ON COLUMN order_request_v1.bid_price_ticks IS 'Best bid at the decision';
COMMENT ON COLUMN order_request_v1.ask_price_ticks IS 'Best ask at the decision';
COMMENT ON COLUMN order_request_v1.quote_time_ns IS 'Receive time of that quote';
COMMENT ON COLUMN order_request_v1.quote_valid IS 'Whether that quote may be acted on';
COMMENT ON COLUMN order_request_v1.request_time_ns IS 'Receive time of the tick that caused it';
CREATE INDEX ON order_request_v1 (account, time DESC);
SELECT headrace.make_time_table('order_request_v1', 'account');

-- order.approved.v1
CREATE TABLE order_approved_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    approval_id text NOT NULL,
    request_id text NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    instrument text NOT NULL,
    signal_sequence bigint NOT NULL,
    side text NOT NULL,
    quantity_lots bigint NOT NULL,
    limit_price_ticks bigint NOT NULL,
    bid_price_ticks bigint NOT NULL,
    ask_price_ticks bigint NOT NULL,
    quote_time_ns bigint NOT NULL,
    request_time_ns bigint NOT NULL,
    expire_time_ns bigint NOT NULL,
    position_lots bigint NOT NULL,
    pending_lots bigint NOT NULL,
    gross_notional_e8 bigint NOT NULL
);
COMMENT ON COLUMN order_approved_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN order_approved_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN order_approved_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN order_approved_v1.approval_id IS 'Hash of the request''s whole content and of the expiry';
COMMENT ON COLUMN order_approved_v1.request_id IS 'The request';
COMMENT ON COLUMN order_approved_v1.account IS 'Who trades';
COMMENT ON COLUMN order_approved_v1.strategy IS 'Which rule asks';
COMMENT ON COLUMN order_approved_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN order_approved_v1.signal_sequence IS 'Sequence of the prediction that caused it';
COMMENT ON COLUMN order_approved_v1.side IS 'BUY or SELL';
COMMENT ON COLUMN order_approved_v1.quantity_lots IS 'How much';
COMMENT ON COLUMN order_approved_v1.limit_price_ticks IS 'Worst price accepted';
COMMENT ON COLUMN order_approved_v1.bid_price_ticks IS 'Best bid at the decision';
COMMENT ON COLUMN order_approved_v1.ask_price_ticks IS 'Best ask at the decision';
COMMENT ON COLUMN order_approved_v1.quote_time_ns IS 'Receive time of that quote';
COMMENT ON COLUMN order_approved_v1.request_time_ns IS 'Receive time of the tick that caused it';
COMMENT ON COLUMN order_approved_v1.expire_time_ns IS 'The approval may not be used after this time';
COMMENT ON COLUMN order_approved_v1.position_lots IS 'Position when it was approved';
COMMENT ON COLUMN order_approved_v1.pending_lots IS 'Lots of open orders on the same side, this one included';
COMMENT ON COLUMN order_approved_v1.gross_notional_e8 IS 'Gross exposure with it, quote currency times 10^8';
CREATE INDEX ON order_approved_v1 (account, time DESC);
SELECT headrace.make_time_table('order_approved_v1', 'account');

-- order.rejected.v1
CREATE TABLE order_rejected_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    request_id text NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    instrument text NOT NULL,
    signal_sequence bigint NOT NULL,
    side text NOT NULL,
    quantity_lots bigint NOT NULL,
    limit_price_ticks bigint NOT NULL,
    request_time_ns bigint NOT NULL,
    "check" text NOT NULL,
    "limit" bigint NOT NULL,
    actual bigint NOT NULL,
    detail text NOT NULL
);
COMMENT ON COLUMN order_rejected_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN order_rejected_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN order_rejected_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN order_rejected_v1.request_id IS 'The request';
COMMENT ON COLUMN order_rejected_v1.account IS 'Who trades';
COMMENT ON COLUMN order_rejected_v1.strategy IS 'Which rule asks';
COMMENT ON COLUMN order_rejected_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN order_rejected_v1.signal_sequence IS 'Sequence of the prediction that caused it';
COMMENT ON COLUMN order_rejected_v1.side IS 'BUY or SELL';
COMMENT ON COLUMN order_rejected_v1.quantity_lots IS 'How much';
COMMENT ON COLUMN order_rejected_v1.limit_price_ticks IS 'Worst price accepted';
COMMENT ON COLUMN order_rejected_v1.request_time_ns IS 'Receive time of the tick that caused it';
COMMENT ON COLUMN order_rejected_v1."check" IS 'Code of the check that failed, as in agents/trading/checks.py';
COMMENT ON COLUMN order_rejected_v1."limit" IS 'What the check allows, in the check''s unit';
COMMENT ON COLUMN order_rejected_v1.actual IS 'What the request would have made it';
COMMENT ON COLUMN order_rejected_v1.detail IS 'The same for a person, with units';
CREATE INDEX ON order_rejected_v1 (account, time DESC);
SELECT headrace.make_time_table('order_rejected_v1', 'account');

-- order.event.v1
CREATE TABLE order_event_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    client_order_id text NOT NULL,
    event_sequence bigint NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    instrument text NOT NULL,
    approval_id text NOT NULL,
    request_id text NOT NULL,
    signal_sequence bigint NOT NULL,
    side text NOT NULL,
    state text NOT NULL,
    quantity_lots bigint NOT NULL,
    filled_lots bigint NOT NULL,
    fill_lots bigint NOT NULL,
    fill_price_ticks bigint NOT NULL,
    fill_fee_e8 bigint NOT NULL,
    cash_delta_e8 bigint NOT NULL,
    reason text NOT NULL,
    event_time_ns bigint NOT NULL
);
COMMENT ON COLUMN order_event_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN order_event_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN order_event_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN order_event_v1.client_order_id IS 'The order';
COMMENT ON COLUMN order_event_v1.event_sequence IS 'Position among the events of the order, from 1';
COMMENT ON COLUMN order_event_v1.account IS 'Who trades';
COMMENT ON COLUMN order_event_v1.strategy IS 'Which rule asked';
COMMENT ON COLUMN order_event_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN order_event_v1.approval_id IS 'What allowed it';
COMMENT ON COLUMN order_event_v1.request_id IS 'What asked for it';
COMMENT ON COLUMN order_event_v1.signal_sequence IS 'The prediction behind it';
COMMENT ON COLUMN order_event_v1.side IS 'BUY or SELL';
COMMENT ON COLUMN order_event_v1.state IS 'The state it is in now; the last three absorb';
COMMENT ON COLUMN order_event_v1.quantity_lots IS 'How much was ordered';
COMMENT ON COLUMN order_event_v1.filled_lots IS 'Filled so far';
COMMENT ON COLUMN order_event_v1.fill_lots IS 'Filled by this event';
COMMENT ON COLUMN order_event_v1.fill_price_ticks IS 'At this price';
COMMENT ON COLUMN order_event_v1.fill_fee_e8 IS 'For this fee, settlement currency times 10^8';
COMMENT ON COLUMN order_event_v1.cash_delta_e8 IS 'Change of cash by this event, fee included, settlement currency times 10^8';
COMMENT ON COLUMN order_event_v1.reason IS 'Why it ended without being filled; empty otherwise';
COMMENT ON COLUMN order_event_v1.event_time_ns IS 'When it happened, on the clock of the market data';
CREATE INDEX ON order_event_v1 (account, time DESC);
SELECT headrace.make_time_table('order_event_v1', 'account');

-- venue.order.v1
CREATE TABLE venue_order_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    client_order_id text NOT NULL,
    approval_id text NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    side text NOT NULL,
    quantity_lots bigint NOT NULL,
    limit_price_ticks bigint NOT NULL,
    send_time_ns bigint NOT NULL
);
COMMENT ON COLUMN venue_order_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN venue_order_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN venue_order_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN venue_order_v1.client_order_id IS 'Hash of account, strategy, instrument and signal';
COMMENT ON COLUMN venue_order_v1.approval_id IS 'What allows it';
COMMENT ON COLUMN venue_order_v1.account IS 'Who trades';
COMMENT ON COLUMN venue_order_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN venue_order_v1.side IS 'BUY or SELL';
COMMENT ON COLUMN venue_order_v1.quantity_lots IS 'How much';
COMMENT ON COLUMN venue_order_v1.limit_price_ticks IS 'Worst price accepted';
COMMENT ON COLUMN venue_order_v1.send_time_ns IS 'When it was sent, on the clock of the market data';
CREATE INDEX ON venue_order_v1 (instrument, time DESC);
SELECT headrace.make_time_table('venue_order_v1', 'instrument');

-- venue.report.v1
CREATE TABLE venue_report_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    client_order_id text NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    report_sequence bigint NOT NULL,
    kind text NOT NULL,
    side text NOT NULL,
    quantity_lots bigint NOT NULL,
    price_ticks bigint NOT NULL,
    fee_e8 bigint NOT NULL,
    reason text NOT NULL,
    venue_time_ns bigint NOT NULL,
    quote_sequence bigint NOT NULL
);
COMMENT ON COLUMN venue_report_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN venue_report_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN venue_report_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN venue_report_v1.client_order_id IS 'The order';
COMMENT ON COLUMN venue_report_v1.account IS 'Who trades';
COMMENT ON COLUMN venue_report_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN venue_report_v1.report_sequence IS 'Position among the reports of the order, from 1';
COMMENT ON COLUMN venue_report_v1.kind IS 'FILLED may be partial; CANCELED ends what is left';
COMMENT ON COLUMN venue_report_v1.side IS 'BUY or SELL';
COMMENT ON COLUMN venue_report_v1.quantity_lots IS 'Lots filled or canceled by this report';
COMMENT ON COLUMN venue_report_v1.price_ticks IS 'Price of the fill; 0 otherwise';
COMMENT ON COLUMN venue_report_v1.fee_e8 IS 'Fee of the fill in the settlement currency times 10^8';
COMMENT ON COLUMN venue_report_v1.reason IS 'Why it was rejected or canceled; empty otherwise';
COMMENT ON COLUMN venue_report_v1.venue_time_ns IS 'When it happened at the venue';
COMMENT ON COLUMN venue_report_v1.quote_sequence IS 'Sequence of the quote it was filled against; 0 otherwise';
CREATE INDEX ON venue_report_v1 (account, time DESC);
SELECT headrace.make_time_table('venue_report_v1', 'account');

-- position.v1
CREATE TABLE position_v1 (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    time timestamp with time zone NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    quantity_lots bigint NOT NULL,
    cash_e8 bigint NOT NULL,
    fees_e8 bigint NOT NULL,
    fill_count bigint NOT NULL,
    mark_price_ticks bigint NOT NULL,
    profit_e8 bigint NOT NULL,
    event_time_ns bigint NOT NULL
);
COMMENT ON COLUMN position_v1.kafka_partition IS 'Partition of the topic';
COMMENT ON COLUMN position_v1.kafka_offset IS 'Offset in the partition';
COMMENT ON COLUMN position_v1.time IS 'When, to the microsecond';
COMMENT ON COLUMN position_v1.account IS 'Who holds';
COMMENT ON COLUMN position_v1.instrument IS 'venue-market:symbol, as in schemas/instruments.py';
COMMENT ON COLUMN position_v1.quantity_lots IS 'Signed';
COMMENT ON COLUMN position_v1.cash_e8 IS 'Sum of cash flows, fees included, settlement currency times 10^8';
COMMENT ON COLUMN position_v1.fees_e8 IS 'Fees paid';
COMMENT ON COLUMN position_v1.fill_count IS 'Fills it sums';
COMMENT ON COLUMN position_v1.mark_price_ticks IS 'Price of the last fill';
COMMENT ON COLUMN position_v1.profit_e8 IS 'cash_e8 plus the position at mark, settlement currency times 10^8';
COMMENT ON COLUMN position_v1.event_time_ns IS 'When it last changed';
ALTER TABLE position_v1 ADD PRIMARY KEY (kafka_partition, kafka_offset);
CREATE INDEX ON position_v1 (account, instrument, kafka_offset DESC);
