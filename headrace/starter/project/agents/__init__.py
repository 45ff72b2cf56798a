"""What each step does: one module an agent."""
