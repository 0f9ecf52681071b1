"""Names from a torrent made safe as names of files.

Nothing here touches a file system; what is safe must be so on all of them, because the
core does not know which one it will meet.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ..limits import MAX_FILES, MAX_PATH_ELEMENT

OWN_FOLDER = ".torrent-core"
"""Folder for our own notes inside a download folder: a torrent of that name could otherwise
bring resume data of its own making, for itself or for another torrent."""

_PLACEHOLDER = "_"

_REMOVED = (
    *(ord(char) for char in "/\\\0"),
    # Zero-width and direction-changing characters make one name look like another
    # ("gpj.exe" shown as "exe.jpg"); the list is libtorrent's.
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2065),
    *range(0x2066, 0x206A),
    0xFEFF,
)
_REPLACED = (
    *range(0x20),
    *range(0x7F, 0xA0),
    # Half a surrogate pair has no UTF-8; it also stands for a byte that was not UTF-8.
    *range(0xD800, 0xE000),
)
_TABLE: dict[int, str | None] = {
    **dict.fromkeys(_REPLACED, _PLACEHOLDER),
    **dict.fromkeys(_REMOVED),
}

_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "clock$", "conin$", "conout$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
"""Names that Windows takes for a device, whatever follows the first dot."""

_MAX_EXTENSION = 10
"""Characters, dot included, that count as an extension worth keeping (libtorrent's 10)."""

_SUFFIX_ROOM = len(f".{MAX_FILES}")


def decode_text(raw: bytes) -> str:
    """A name's bytes as text; ``safe_element`` turns what is not UTF-8 into ``_``."""
    return raw.decode("utf-8", "surrogateescape")


def safe_element(text: str) -> str:
    """One element of a path that names exactly one thing inside its folder.

    Separators, NUL and invisible formatting characters go; control characters and what
    has no UTF-8 become ``_``; an element that then says nothing, or is a way up, becomes
    ``_``; at most 240 bytes, the extension kept.
    """
    return _cleaned(text) or _PLACEHOLDER


def safe_name(raw: bytes, info_hash: bytes) -> str:
    """The torrent's name as a safe element, and never ``OWN_FOLDER``; the info-hash in hex
    if it says nothing."""
    name = _cleaned(decode_text(raw)) or info_hash.hex()
    # Windows drops dots and blanks from the end.
    if _folded(name.rstrip(" .")) == OWN_FOLDER:
        return _PLACEHOLDER + OWN_FOLDER
    return name


def _cleaned(text: str) -> str:
    """A safe element, or the empty string if nothing that names a file is left."""
    text = text.translate(_TABLE)
    # Dots and blanks alone: Windows drops them from the end, so that ".. " is a way up.
    if not text.strip(" ."):
        return ""
    # "C:" in front would start a path of its own on Windows.
    if text[1:2] == ":" and text[0].isascii() and text[0].isalpha():
        text = f"{text[0]}{_PLACEHOLDER}{text[2:]}"
    if text.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        text = _PLACEHOLDER + text
    if len(text.encode()) <= MAX_PATH_ELEMENT:
        return text
    stem, extension = _split(text)
    return _cut(stem, MAX_PATH_ELEMENT - len(extension.encode())) + extension


def _split(element: str) -> tuple[str, str]:
    """Stem and extension; the latter, with its dot, is empty unless short."""
    dot = element.rfind(".")
    if dot <= 0 or len(element) - dot > _MAX_EXTENSION:
        return element, ""
    return element[:dot], element[dot:]


def _cut(text: str, size: int) -> str:
    """The longest beginning of ``text`` that fits in ``size`` bytes of UTF-8."""
    return text.encode()[:size].decode("utf-8", "ignore")


# --- Collisions ----------------------------------------------------------------------------


def _folded(element: str) -> str:
    """Equal for elements that some file system takes for the same (case, composition)."""
    if element.isascii():
        return element.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", element).casefold())


def distinct_paths(paths: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The same paths, of safe elements, with a number where two would be one file.

    Case and Unicode composition do not tell files apart on every system, and a file cannot
    have a folder's name.  The first file of a name keeps it; the next ``name.ext`` becomes
    ``name.1.ext`` (libtorrent's form), and so on.  Time and memory are linear in the input.
    """
    listed = list(paths)
    names = _Names()
    parents = [names.enter(path[:-1]) for path in listed]
    return [
        (*path[:-1], names.claim(parent, path[-1]))
        for path, parent in zip(listed, parents, strict=True)
    ]


class _Names:
    """The folders and files of one tree; folders are numbered, the root is 0."""

    __slots__ = ("_counters", "_files", "_folders")

    def __init__(self) -> None:
        self._folders: dict[tuple[int, str], int] = {}
        self._files: set[tuple[int, str]] = set()
        self._counters: dict[tuple[int, str, str], int] = {}

    def enter(self, folders: tuple[str, ...]) -> int:
        """The number of the folder at this path, made now if it is new."""
        number = 0
        for element in folders:
            number = self._folders.setdefault((number, _folded(element)), len(self._folders) + 1)
        return number

    def claim(self, parent: int, name: str) -> str:
        """A name that is free in this folder: ``name`` if it can be."""
        if self._take(parent, name):
            return name
        stem, extension = _split(name)
        # Room for any number, so that each number makes another name; and one counter for
        # all stems that are cut to the same, so that hostile names are not quadratic.
        stem = _cut(stem, MAX_PATH_ELEMENT - _SUFFIX_ROOM - len(extension.encode()))
        counter = (parent, _folded(stem), _folded(extension))
        while True:
            number = self._counters[counter] = self._counters.get(counter, 0) + 1
            candidate = f"{stem}.{number}{extension}"
            if self._take(parent, candidate):
                return candidate

    def _take(self, parent: int, name: str) -> bool:
        key = (parent, _folded(name))
        if key in self._folders or key in self._files:
            return False
        self._files.add(key)
        return True
