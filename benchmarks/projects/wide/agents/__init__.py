"""What its step does."""
