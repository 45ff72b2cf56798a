-- A sequence counts within a source: without it, a second recording of an instrument had signals of
-- the same name. Rows of before have an empty one.

ALTER TABLE feature_vector_v1 ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN feature_vector_v1.source IS 'The connection or file the trade came from';
ALTER TABLE signal_prediction_v1 ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN signal_prediction_v1.source IS 'The connection or file the trade came from';
ALTER TABLE order_request_v1 ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN order_request_v1.source IS 'The connection or file the prediction was made from';
ALTER TABLE order_approved_v1 ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN order_approved_v1.source IS 'The connection or file the prediction was made from';
ALTER TABLE order_rejected_v1 ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN order_rejected_v1.source IS 'The connection or file the prediction was made from';
ALTER TABLE order_event_v1 ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN order_event_v1.source IS 'The connection or file the prediction was made from';
ALTER TABLE venue_order_v1 ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN venue_order_v1.source IS 'The connection or file the prediction was made from';
