"""Gateways: where orders leave for a venue, each named by a topology (docs/gateways.md)."""

from gateways.rest_venue import open_rest_venue

__all__ = ["open_rest_venue"]
