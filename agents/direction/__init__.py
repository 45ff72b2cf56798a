"""What predicts direction, which model may decide, and what the others say meanwhile."""
