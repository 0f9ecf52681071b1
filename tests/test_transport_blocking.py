"""The blocking adapter against a real seed, and against peers that fail."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

from seeding import seed
from torrent_core.metainfo import Metainfo, TorrentBuilder
from transports.blocking import BlockingClient
from transports.disk import Folder

LIMIT = 30.0


def _torrent(folder: Path, size: int) -> Metainfo:
    data = random.Random(5).randbytes(size)
    builder = TorrentBuilder("x.bin", [(("x.bin",), size)], piece_length=32768, single_file=True)
    builder.update(data)
    folder.mkdir()
    (folder / "x.bin").write_bytes(data)
    return builder.finish()


def test_it_downloads_and_the_next_run_finds_everything_there(tmp_path: Path) -> None:
    metainfo = _torrent(tmp_path / "seed", 700_000)
    with seed(metainfo, tmp_path / "seed") as port:
        assert BlockingClient(metainfo, tmp_path / "got").fetch([("127.0.0.1", port)], LIMIT)
    assert (tmp_path / "got/x.bin").read_bytes() == (tmp_path / "seed/x.bin").read_bytes()
    assert Folder(tmp_path / "got", metainfo).resume() is not None
    assert BlockingClient(metainfo, tmp_path / "got").fetch([], LIMIT)


def test_peers_that_refuse_hang_up_or_do_not_exist_do_no_harm(tmp_path: Path) -> None:
    metainfo = _torrent(tmp_path / "seed", 100_000)
    with socket.create_server(("127.0.0.1", 0)) as rude, seed(metainfo, tmp_path / "seed") as port:
        threading.Thread(target=lambda: rude.accept()[0].close(), daemon=True).start()
        closed = socket.create_server(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        closed.close()
        peers = [("127.0.0.1", nobody), rude.getsockname(), ("127.0.0.1", port)]
        assert BlockingClient(metainfo, tmp_path / "got").fetch(peers, LIMIT)


def test_without_a_peer_it_gives_up_in_time(tmp_path: Path) -> None:
    metainfo = _torrent(tmp_path / "seed", 100_000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        peers = [silent.getsockname()]
        assert not BlockingClient(metainfo, tmp_path / "got").fetch(peers, 0.2)
