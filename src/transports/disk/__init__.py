"""Files: what the core asks of the storage, carried out.

Everything here blocks, but for ``workers``, which does it on threads and needs anyio.
"""

from .folder import Folder
from .jobs import perform

__all__ = ["Folder", "perform"]
