"""Servers the pipeline needs: embedded as supervised children, or real ones named by settings."""

from headrace.servers.embedded import NAMES, Endpoints, Servers, ServerState

__all__ = ["NAMES", "Endpoints", "ServerState", "Servers"]
