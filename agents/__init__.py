"""What each step does: one module, one agent, one pure function over batches."""
