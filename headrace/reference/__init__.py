"""Tables from outside as reference topics: read, held against a schema, written where changed."""
