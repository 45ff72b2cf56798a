"""Feeds: where frames come from outside, each named by one line of text (docs/feeds.md)."""

from feeds.live import try_live
from feeds.opening import open_feed

__all__ = ["open_feed", "try_live"]
