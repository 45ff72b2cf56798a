"""A topology over a feed as fast as the machine goes, and what came of it."""
