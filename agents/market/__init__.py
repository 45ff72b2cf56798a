"""Order books and rolling windows, in arrays."""
