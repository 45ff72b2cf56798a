"""Feeds: where frames come from outside, each named by one line of text (docs/feeds.md)."""

from feeds.opening import open_feed
from feeds.pace import paced

__all__ = ["open_feed", "paced"]
