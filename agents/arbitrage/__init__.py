"""The same asset in several markets: its legs, and how far they stand apart."""
