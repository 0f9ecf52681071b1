"""Downloading pieces: what is verified, what is active, whom to ask for what."""

from .active import ActivePiece, RequestInfo, Stage
from .availability import Availability
from .config import ActivePieceConfig
from .manager import ActivePieceManager
from .outcome import USED, Outcome, Released
from .picker import PiecePicker
from .requests import LinkRequests
from .scheduler import RequestScheduler
from .verified import PieceManager

__all__ = [
    "USED",
    "ActivePiece",
    "ActivePieceConfig",
    "ActivePieceManager",
    "Availability",
    "LinkRequests",
    "Outcome",
    "PieceManager",
    "PiecePicker",
    "Released",
    "RequestInfo",
    "RequestScheduler",
    "Stage",
]
