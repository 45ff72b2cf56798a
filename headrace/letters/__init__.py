"""Dead letters after the fact: read, sent again, or set aside."""
