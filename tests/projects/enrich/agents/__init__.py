"""The sample project's agents."""
