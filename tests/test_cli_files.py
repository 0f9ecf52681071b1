"""``create``, ``info`` and ``verify``, run as a user runs them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from torrent_core.metainfo import parse_torrent
from transports.cli import main, places
from transports.cli.create import collect, write_atomically
from transports.cli.failures import CommandFailed

KIB = 1024


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A folder whose files share pieces, with an empty one and a short last piece."""
    root = tmp_path / "payload"
    (root / "sub").mkdir(parents=True)
    (root / "b.bin").write_bytes(os.urandom(40 * KIB))
    (root / "a.bin").write_bytes(os.urandom(20 * KIB))
    (root / "empty").write_bytes(b"")
    (root / "sub" / "c.bin").write_bytes(os.urandom(5000))
    return root


@pytest.fixture
def torrent(payload: Path, tmp_path: Path) -> Path:
    path = tmp_path / "payload.torrent"
    assert main(["create", str(payload), "-o", str(path), "--piece-length", "16384"]) == 0
    return path


def lines_of(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    out, err = capsys.readouterr()
    return out.splitlines(), err.splitlines()


# --- create --------------------------------------------------------------------------------


def test_create_prints_the_info_hash_and_keeps_files_in_order_of_bytes(
    payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.torrent"
    options = ["--tracker", "http://a/", "--tracker", "http://b/", "--private"]
    options += ["--comment", "hello", "--source", "here"]
    assert main(["create", str(payload), "-o", str(path), *options]) == 0
    metainfo = parse_torrent(path.read_bytes())
    out, err = lines_of(capsys)
    assert out == [f"{metainfo.info_hash.hex()}  {path}"]
    assert err == []
    assert ["/".join(entry.path) for entry in metainfo.files] == [
        "payload/a.bin",
        "payload/b.bin",
        "payload/empty",
        "payload/sub/c.bin",
    ]
    assert metainfo.trackers == (("http://a/",), ("http://b/",))
    assert (metainfo.private, metainfo.comment, metainfo.source) == (True, "hello", "here")


@pytest.mark.parametrize("url", ["nonsense", "", "gopher://x/", "http://", "udp://", "http://a b/"])
def test_what_is_no_url_of_a_tracker_is_a_mistake_of_usage(
    url: str, payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.torrent"
    assert main(["create", str(payload), "-o", str(path), "--tracker", url]) == 2
    (line,) = lines_of(capsys)[1]
    assert f"{url!r} is no http, https or udp URL of a tracker" in line
    assert not path.exists()


def test_a_private_torrent_without_a_tracker_is_made_with_a_warning(
    payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.torrent"
    assert main(["create", str(payload), "-o", str(path), "--private"]) == 0
    (line,) = lines_of(capsys)[1]
    assert line == (
        "warning: a private torrent without --tracker: its peers must be named by hand,"
        " since nothing else may find them"
    )
    assert parse_torrent(path.read_bytes()).private


def test_the_same_payload_gives_the_same_torrent(payload: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for path in (first, second):
        assert main(["create", str(payload), "-o", str(path)]) == 0
    assert first.read_bytes() == second.read_bytes()


def test_a_single_file_makes_a_single_file_torrent(payload: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.torrent"
    assert main(["create", str(payload / "a.bin"), "-o", str(path)]) == 0
    metainfo = parse_torrent(path.read_bytes())
    assert not metainfo.multi_file
    assert metainfo.name == "a.bin"
    assert main(["verify", str(path), str(payload)]) == 0


def test_what_is_left_out_is_named(
    payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (payload / "link").symlink_to(payload / "a.bin")
    (payload / "hollow").mkdir()
    (payload / ".torrent-core").mkdir()
    (payload / ".torrent-core" / "x.resume").write_bytes(b"what an earlier get left")
    os.mkfifo(payload / "pipe")
    path = tmp_path / "x.torrent"
    assert main(["create", str(payload), "-o", str(path)]) == 0
    _, err = lines_of(capsys)
    assert err == [
        "skipped: .torrent-core: resume data of our own",
        "skipped: hollow: empty folder",
        "skipped: link: symbolic link",
        "skipped: pipe: neither a file nor a folder",
    ]
    assert len(parse_torrent(path.read_bytes()).files) == 4


@pytest.mark.parametrize("below", [".", "sub"])
def test_a_torrent_written_into_its_own_folder_is_no_part_of_itself(
    payload: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    output = payload / below / "own.torrent"
    output.parent.mkdir(exist_ok=True)
    assert main(["create", str(payload), "-o", str(output)]) == 0
    first = output.read_bytes()
    capsys.readouterr()
    monkeypatch.chdir(output.parent)  # by another name, it is the same place
    assert main(["create", str(payload), "-o", "own.torrent"]) == 0
    assert output.read_bytes() == first
    _, err = lines_of(capsys)
    own = str(output.relative_to(payload))
    assert f"skipped: {own}: replaced by the torrent itself" in err
    (output.parent / "own.torrent.bak").write_bytes(first)
    assert main(["create", str(payload), "-o", "own.torrent"]) == 0
    paths = [entry.path for entry in parse_torrent(output.read_bytes()).files]
    assert (payload.name, *own.split("/")) not in paths
    assert (payload.name, *f"{own}.bak".split("/")) in paths


def test_a_file_is_not_replaced_by_its_own_torrent(
    payload: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (payload / "b.bin").read_bytes()
    monkeypatch.chdir(payload)
    assert main(["create", str(payload / "b.bin"), "-o", "b.bin"]) == 1
    _, err = lines_of(capsys)
    assert err == ["error: b.bin is what the torrent is of: it is not replaced"]
    assert (payload / "b.bin").read_bytes() == before


def test_names_that_downloaders_will_change_are_told(
    payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (payload / "aux.c").write_bytes(b"x")
    assert main(["create", str(payload), "-o", str(tmp_path / "x")]) == 0
    _, err = lines_of(capsys)
    assert len(err) == 1
    assert err[0].startswith("warning: payload/aux.c will be stored as payload/")


def test_create_refuses_what_holds_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").write_bytes(b"")
    assert main(["create", str(tmp_path / "none"), "-o", str(tmp_path / "x")]) == 1
    _, err = lines_of(capsys)
    assert len(err) == 1
    assert "holds no data" in err[0]
    assert not (tmp_path / "x").exists()


def test_create_refuses_what_is_not_there_or_is_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, why in (("gone", "No such file"), ("pipe", "neither"), ("loop", "cannot read")):
        assert main(["create", str(tmp_path / name), "-o", str(tmp_path / "x")]) == 1
        _, err = lines_of(capsys)
        assert len(err) == 1
        assert why in err[0]


def test_create_refuses_what_cannot_become_a_torrent(
    payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["create", str(payload), "-o", str(tmp_path / "x"), "--comment", "\udcff"]
    assert main(arguments) == 1
    _, err = lines_of(capsys)
    assert len(err) == 1
    assert err[0].startswith("error: cannot make a torrent of ")


def test_a_file_that_shrinks_while_it_is_read_is_an_error(
    payload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = collect(payload, tmp_path / "x")

    def shrunk(_path: Path, _output: Path) -> object:
        (payload / "b.bin").write_bytes(b"short")
        return found

    monkeypatch.setattr("transports.cli.create.collect", shrunk)
    assert main(["create", str(payload), "-o", str(tmp_path / "x")]) == 1


def test_a_torrent_is_written_in_one_step_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"old")
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask

    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fail(*_arguments: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(os, "replace", fail)
        expected = CommandFailed if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["x"]


def test_a_folder_that_cannot_be_written_is_one_line(
    payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create", str(payload), "-o", str(tmp_path / "no" / "x")]) == 1
    _, err = lines_of(capsys)
    assert err == [f"error: cannot write {tmp_path}/no/x: No such file or directory"]


# --- info ----------------------------------------------------------------------------------


def test_info_shows_what_the_torrent_says(
    torrent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["info", str(torrent)]) == 0
    out, _ = lines_of(capsys)
    metainfo = parse_torrent(torrent.read_bytes())
    assert "name:       payload" in out
    assert f"info-hash:  {metainfo.info_hash.hex()}" in out
    assert "size:       64.9 KiB (66440 bytes) in 4 files" in out
    assert "pieces:     5 of 16.0 KiB" in out
    assert "    20.0 KiB  payload/a.bin" in out
    assert not any(line.startswith(("comment", "private", "created:")) for line in out)


def test_info_as_json_is_one_object(torrent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["info", "--json", str(torrent)]) == 0
    out, _ = lines_of(capsys)
    assert len(out) == 1
    fields = json.loads(out[0])
    assert fields["name"] == "payload"
    assert fields["pieces"] == 5
    assert fields["files"][0] == {"path": "payload/a.bin", "length": 20 * KIB}


def test_info_reads_stdin(
    torrent: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(torrent.read_bytes())))
    assert main(["info", "-"]) == 0
    assert "name:       payload" in lines_of(capsys)[0]


@pytest.mark.parametrize(
    "arguments",
    [["info", "-"], ["get", "-"], ["verify", "-", "."], ["announce", "-"], ["dht", "lookup", "-"]],
)
def test_a_closed_stdin_is_one_line_and_status_1(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", None)  # what Python makes of it
    assert main(arguments) == 1
    assert lines_of(capsys) == ([], ["error: stdin is closed"])


def test_info_shows_dates_and_hides_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = b"d6:lengthi1e4:name1:x12:piece lengthi16384e6:pieces20:" + bytes(20) + b"e"
    path = tmp_path / "x"
    date = b"13:creation datei1700000000e"
    path.write_bytes(b"d7:comment8:a\x1b[2Jb\nc" + date + b"4:info" + info + b"e")
    assert main(["info", str(path)]) == 0
    out, _ = lines_of(capsys)
    assert "created:    2023-11-14 22:13:20 UTC" in out
    assert "comment:    a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c" in out


@pytest.mark.parametrize("command", ["info", "verify", "get", "seed"])
def test_a_malformed_torrent_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    bad = tmp_path / "bad.torrent"
    bad.write_bytes(b"d4:infod4:name1:xee")
    folder = [str(tmp_path)] if command in ("verify", "seed") else []
    assert main([command, str(bad), *folder]) == 1
    out, err = lines_of(capsys)
    assert out == []
    assert len(err) == 1
    assert err[0].startswith(f"error: {bad} is not a usable torrent: ")


@pytest.mark.parametrize("command", ["info", "verify", "get", "seed"])
def test_a_missing_torrent_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    folder = [str(tmp_path)] if command in ("verify", "seed") else []
    assert main([command, str(tmp_path / "gone"), *folder]) == 1
    assert lines_of(capsys)[1] == [f"error: cannot read {tmp_path}/gone: No such file or directory"]


# --- verify --------------------------------------------------------------------------------


def verify(
    torrent: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, object], list[str]]:
    """Exit status, JSON object and plain lines, which must agree."""
    capsys.readouterr()
    status = main(["verify", str(torrent), str(folder), "--json"])
    out, _ = lines_of(capsys)
    assert len(out) == 1
    assert main(["verify", str(torrent), str(folder)]) == status
    return status, json.loads(out[0]), lines_of(capsys)[0]


def test_verify_of_what_is_complete_says_so(
    torrent: Path, payload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, fields, lines = verify(torrent, payload.parent, capsys)
    assert status == 0
    assert fields["complete"] is True
    assert fields["files"] == []
    assert lines == ["payload: complete; 5 of 5 pieces and 4 of 4 files are good"]


def test_verify_names_each_file_that_is_not_right(
    torrent: Path, payload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (payload / "empty").unlink()
    data = bytearray((payload / "b.bin").read_bytes())
    data[20 * KIB] ^= 1
    (payload / "b.bin").write_bytes(data)
    status, fields, lines = verify(torrent, payload.parent, capsys)
    assert status == 1
    assert fields["pieces_good"] == 4
    assert fields["files"] == [
        {"path": "payload/b.bin", "state": "damaged", "bad_pieces": 1, "pieces": 3},
        {"path": "payload/empty", "state": "missing", "bad_pieces": 0, "pieces": 0},
    ]
    assert lines == [
        "damaged: payload/b.bin (1 of 3 pieces bad)",
        "missing: payload/empty (0 of 0 pieces bad)",
        "payload: NOT complete; 4 of 5 pieces and 2 of 4 files are good",
    ]


def test_verify_tells_a_neighbour_of_a_missing_file_from_a_damaged_one(
    torrent: Path, payload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (payload / "a.bin").unlink()
    _, fields, _ = verify(torrent, payload.parent, capsys)
    assert fields["files"] == [
        {"path": "payload/a.bin", "state": "missing", "bad_pieces": 2, "pieces": 2},
        {"path": "payload/b.bin", "state": "unproven", "bad_pieces": 1, "pieces": 3},
    ]


def test_verify_tells_too_short_and_too_long(
    torrent: Path, payload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.truncate(payload / "sub" / "c.bin", 10)
    with (payload / "a.bin").open("ab") as file:
        file.write(b"more")
    status, fields, _ = verify(torrent, payload.parent, capsys)
    assert status == 1
    files = fields["files"]
    assert isinstance(files, list)
    assert [(file["path"], file["state"]) for file in files] == [
        ("payload/a.bin", "too long"),
        ("payload/b.bin", "unproven"),
        ("payload/sub/c.bin", "too short"),
    ]


def test_a_pipe_or_folder_in_place_of_a_file_counts_as_missing(
    torrent: Path, payload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (payload / "a.bin").unlink()
    os.mkfifo(payload / "a.bin")
    (payload / "b.bin").unlink()
    (payload / "b.bin").mkdir()
    _, fields, _ = verify(torrent, payload.parent, capsys)
    files = fields["files"]
    assert isinstance(files, list)
    assert [file["state"] for file in files[:2]] == ["missing", "missing"]


def test_padding_is_zeros_and_on_no_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    pad = b"d4:attr1:p6:lengthi16383e4:pathl4:.pad5:16383ee"
    files = b"d6:lengthi1e4:pathl1:aee" + pad + b"d6:lengthi1e4:pathl1:bee"
    pieces = hashlib.sha1(b"a" + bytes(16383)).digest() + hashlib.sha1(b"b").digest()
    info = b"d5:filesl" + files + b"e4:name1:t12:piece lengthi16384e6:pieces40:" + pieces + b"e"
    path = tmp_path / "t.torrent"
    path.write_bytes(b"d4:info" + info + b"e")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a").write_bytes(b"a")
    (tmp_path / "t" / "b").write_bytes(b"b")
    status, fields, _ = verify(path, tmp_path, capsys)
    assert (status, fields["files_total"]) == (0, 2)


@pytest.mark.parametrize(
    ("below", "hint"),
    [
        ("payload", "one level too deep? {root} holds it"),
        ("..", "one level too high? {root} holds it"),
        ("other", "one level too deep? {root} holds it"),
    ],
)
def test_verify_says_which_folder_is_meant(
    torrent: Path,
    payload: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    below: str,
    hint: str,
) -> None:
    root = tmp_path / "deep" / "here"
    root.mkdir(parents=True)
    payload.rename(root / "payload")
    (root / "other" / "sub").mkdir(parents=True)
    place = root.parent if below == ".." else root / below
    status, fields, lines = verify(torrent, place, capsys)
    expected = hint.format(root=root)
    assert (status, fields["hint"]) == (1, expected)
    assert lines[-1] == f"hint: {expected}"


def test_verify_of_a_folder_that_was_renamed_says_what_it_must_be_called(
    torrent: Path, payload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = payload.rename(payload.parent / "renamed")
    _, fields, _ = verify(torrent, renamed, capsys)
    where = f"its files seem to lie in {renamed} itself"
    assert fields["hint"] == f"{where}, which must be called payload"


def test_verify_has_no_hint_where_there_is_nothing_to_find_or_something_is_right(
    torrent: Path, payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "a" / "b"
    empty.mkdir(parents=True)
    (empty / "file").write_bytes(b"")
    assert verify(torrent, empty, capsys)[1]["hint"] is None
    (payload / "a.bin").write_bytes(bytes(20 * KIB))
    assert verify(torrent, payload.parent, capsys)[1]["hint"] is None
    (payload / "b.bin").write_bytes(bytes(40 * KIB))
    (payload / "sub" / "c.bin").unlink()
    assert verify(torrent, payload.parent, capsys)[1]["hint"] is None


def test_a_folder_that_cannot_be_read_gives_no_hint(
    torrent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_folder: Path) -> object:
        raise PermissionError(13, "Permission denied")

    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    monkeypatch.setattr(Path, "iterdir", forbidden)
    assert places.hint(parse_torrent(torrent.read_bytes()), place) is None


def test_missing_files_are_named_and_then_counted(torrent: Path, tmp_path: Path) -> None:
    metainfo = parse_torrent(torrent.read_bytes())
    empty = tmp_path / "empty"
    assert places.missing(metainfo, empty) == [
        f"missing: {empty}/payload/a.bin",
        f"missing: {empty}/payload/b.bin",
        f"missing: {empty}/payload/empty",
        "missing: 1 other file",
    ]


@pytest.mark.parametrize("command", ["verify", "seed"])
def test_a_file_in_place_of_the_folder_is_one_line(
    torrent: Path, payload: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    capsys.readouterr()
    file = payload / "a.bin"
    assert main([command, str(torrent), str(file)]) == 1
    assert lines_of(capsys)[1] == [f"error: {file} is a file: name the folder that holds it"]


@pytest.mark.parametrize("command", ["verify", "seed"])
def test_a_magnet_link_does_not_say_what_a_folder_should_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "magnet:?xt=urn:btih:" + 40 * "a", str(tmp_path)]) == 1
    out, err = lines_of(capsys)
    assert not out
    assert "--metadata-only gets the .torrent file" in err[0]
    assert len(err) == 1


@pytest.mark.parametrize("command", ["info", "get"])
@pytest.mark.parametrize("link", ["MAGNET:?xt=x", "magnet:", "magnet:?xt=urn:btih:" + 40 * "z"])
def test_a_malformed_magnet_link_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], command: str, link: str
) -> None:
    assert main([command, link]) == 2
    out, err = lines_of(capsys)
    assert not out
    assert err[0].startswith("error: not a usable magnet link: ")
    assert len(err) == 1


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("ftp://127.0.0.1/x.torrent", "ftp sources are not supported yet: "),
        ("udp://127.0.0.1/announce", "udp sources are not supported yet: "),
    ],
)
@pytest.mark.parametrize("command", ["info", "verify", "get", "seed"])
def test_links_are_not_supported_yet_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, source: str, why: str
) -> None:
    folder = [str(tmp_path)] if command in ("verify", "seed") else []
    assert main([command, source, *folder]) == 1
    out, err = lines_of(capsys)
    assert out == []
    assert len(err) == 1
    assert err[0].startswith(f"error: {why}")


@pytest.mark.parametrize("command", ["verify", "seed"])
def test_a_folder_that_is_not_there_is_one_line(
    torrent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    capsys.readouterr()
    assert main([command, str(torrent), str(tmp_path / "gone")]) == 1
    assert lines_of(capsys) == ([], [f"error: {tmp_path}/gone is not a folder"])


def test_a_file_without_a_byte_is_called_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nothing.torrent"
    path.touch()
    assert main(["info", str(path)]) == 1
    assert lines_of(capsys)[1] == [f"error: {path} is empty"]


@pytest.mark.parametrize(
    ("source", "status", "why"),
    [
        ("", 2, "the source is empty"),
        ("http://", 2, "http:// is no URL: it names no host"),
        ("https:///x.torrent", 2, "https:///x.torrent is no URL: it names no host"),
        ("http://[::1/x", 2, "http://[::1/x is no URL: it names no host"),
        ("AB" * 20, 1, f"a magnet link of it is magnet:?xt=urn:btih:{'ab' * 20}"),
    ],
)
def test_what_cannot_be_a_source_is_refused_with_a_hint(
    source: str, status: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", source]) == status
    (line,) = lines_of(capsys)[1]
    assert why in line


def test_a_file_that_is_named_like_an_info_hash_is_read(
    torrent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torrent.rename("ab" * 20)
    assert main(["info", "ab" * 20]) == 0


def test_one_piece_is_not_called_pieces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_bytes(b"x")
    path = tmp_path / "x.torrent"
    assert main(["create", str(tmp_path / "x"), "-o", str(path)]) == 0
    assert main(["verify", str(path), str(tmp_path)]) == 0
    assert "1 of 1 piece and 1 of 1 file" in capsys.readouterr().out
