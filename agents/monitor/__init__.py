"""What the monitor knows of a stream, and how it learns."""
