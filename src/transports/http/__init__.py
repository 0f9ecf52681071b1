"""HTTP by httpx, which is loaded when something is first fetched."""

from .fetcher import HttpFetcher

__all__ = ["HttpFetcher"]
