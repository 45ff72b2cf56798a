-- No action on a gapped book: what was known of the book at a trade goes with it to the order.
-- Of rows of before it is not known.

ALTER TABLE market_trade_v1 ADD COLUMN book_valid boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN market_trade_v1.book_valid IS 'False from a gap in the instrument''s book to its next snapshot; true where its source carries none, or none yet';
ALTER TABLE feature_vector_v1 ADD COLUMN book_valid boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN feature_vector_v1.book_valid IS 'False from a gap in the instrument''s book to its next snapshot; true where its source carries none, or none yet';
ALTER TABLE signal_prediction_v1 ADD COLUMN book_valid boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN signal_prediction_v1.book_valid IS 'False from a gap in the instrument''s book to its next snapshot; true where its source carries none, or none yet';
ALTER TABLE order_request_v1 ADD COLUMN book_valid boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN order_request_v1.book_valid IS 'False from a gap in the instrument''s book to its next snapshot; true where its source carries none, or none yet';
