"""What its steps do."""
