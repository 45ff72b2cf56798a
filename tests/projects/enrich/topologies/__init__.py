"""The sample project's graphs."""
