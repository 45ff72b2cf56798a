"""The reference model: which way mid goes within a second of a trade."""
