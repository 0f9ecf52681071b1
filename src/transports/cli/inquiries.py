"""``torrent-core announce`` and ``scrape``: one question to trackers, and its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import click

from .failures import OK, CommandFailed
from .options import (
    backend_option,
    json_option,
    port_from,
    seconds,
    tracker,
)
from .sources import info_hash_of, load_source

if TYPE_CHECKING:
    from torrent_core.actions import TrackerReplied, TrackerScraped
    from torrent_core.discovery import Found
    from torrent_core.trackers import Trackers

tracker_option = click.option(
    "--tracker",
    "urls",
    type=tracker,
    multiple=True,
    metavar="URL",
    help="Ask this tracker, and not those that the torrent names. May be repeated.",
)

timeout_option = click.option(
    "--timeout",
    type=seconds,
    default="30",
    metavar="S",
    show_default=True,
    help="Wait so many seconds for an answer.",
)


class Subject(NamedTuple):
    """What is asked about."""

    info_hash: bytes
    urls: tuple[str, ...]
    private: bool = False
    size: int = 1


def _asked_of_trackers(source: str, urls: tuple[str, ...]) -> Subject:
    """Raises CommandFailed for a source that is none, and where there is no tracker to ask;
    click.UsageError where that could not be otherwise."""
    if info_hash_of(source) is not None and not urls:
        raise click.UsageError("an info-hash names no tracker: say --tracker URL")
    subject = read_subject(source, urls)
    if not subject.urls:
        raise CommandFailed("no tracker is named: say --tracker URL")
    return subject


def read_subject(source: str, urls: tuple[str, ...] = ()) -> Subject:
    """What an info-hash, a magnet link or a torrent names, with ``urls`` in place of its own.

    Raises CommandFailed for a source that is none."""
    from torrent_core.metainfo import MagnetLink

    info_hash = info_hash_of(source)
    if info_hash is not None:
        return Subject(info_hash, urls)
    what = load_source(source)
    if isinstance(what, MagnetLink):
        return Subject(what.info_hash, urls or what.trackers)
    named = tuple(url for tier in what.trackers for url in tier)
    return Subject(what.info_hash, urls or named, what.private, what.total_length)


class Printer:
    """Says what comes, a line or an object each, and remembers whether any of it was good."""

    def __init__(self, as_json: bool, *, alone: bool = True) -> None:
        """``alone``: one party is asked, so that its failure is that of the command."""
        self._as_json = as_json
        self._alone = alone
        self.answered = False
        self.failures: list[str] = []

    def say(self, fields: dict[str, object], line: str) -> None:
        """One answer, for machines and for people."""
        self.answered = True
        self._print(fields, line)

    def fail(self, fields: dict[str, object], line: str) -> None:
        """One failure; people read that of the command itself on stderr alone."""
        self.failures.append(line)
        if self._as_json or not self._alone:
            self._print(fields, line)

    def _print(self, fields: dict[str, object], line: str) -> None:
        from .render import printable

        click.echo(json.dumps(fields) if self._as_json else printable(line))

    def tell(self, found: Found) -> None:
        """One thing that was found."""
        from torrent_core.actions import TrackerFailed, TrackerReplied, TrackerScraped
        from torrent_core.events import PeersFound

        match found:
            case PeersFound(peers=peers):
                for peer in peers:
                    self.say({"event": "peer", "peer": str(peer)}, str(peer))
            case TrackerReplied():
                self._replied(found)
            case TrackerScraped():
                self._scraped(found)
            case TrackerFailed(url=url, detail=detail):
                fields: dict[str, object] = {"event": "failed", "url": url, "message": detail}
                self.fail(fields, f"{url}: {detail}")

    def _replied(self, found: TrackerReplied) -> None:
        from .render import plural

        text = f"{_swarm(found)}, told of {plural(found.peers, 'peer')}"
        warning = f" (it warns: {found.warning})" if found.warning else ""
        fields: dict[str, object] = {
            "event": "replied",
            "url": found.url,
            "seeds": found.seeds,
            "leechers": found.leechers,
            "peers": found.peers,
            "warning": found.warning,
            "external_ip": found.external_ip,
        }
        self.say(fields, f"{found.url}: {text}{warning}")

    def _scraped(self, found: TrackerScraped) -> None:
        text = f"{_swarm(found)}, completed {_count(found.completed, 'time')}"
        fields: dict[str, object] = {
            "event": "failed" if found.detail else "scraped",
            "url": found.url,
            "seeds": found.seeds,
            "leechers": found.leechers,
            "completed": found.completed,
            "message": found.detail,
        }
        tell = self.fail if found.detail else self.say
        tell(fields, f"{found.url}: {found.detail or text}")


def _swarm(found: TrackerReplied | TrackerScraped) -> str:
    return f"{_count(found.seeds, 'seed')}, {_count(found.leechers, 'leecher')}"


def _count(number: int | None, noun: str) -> str:
    from .render import plural

    return f"? {noun}s" if number is None else plural(number, noun)


@click.command()
@click.argument("source", metavar="SOURCE")
@tracker_option
@timeout_option
@json_option
@backend_option
def scrape(source: str, urls: tuple[str, ...], timeout: float, as_json: bool, backend: str) -> int:
    """Ask the trackers of SOURCE how many seeds and leechers they know.

    SOURCE is a .torrent file, its http(s) URL, - for stdin, a magnet link, or an info-hash
    of 40 digits with --tracker.  Nobody is told that we take part.
    """
    subject = _asked_of_trackers(source, urls)

    def begin(trackers: Trackers, now: float, url: str) -> list[Found]:
        return trackers.scrape(subject.info_hash, url, now)

    return _ask_each(subject, 1, begin, timeout, as_json, backend)


@click.command()
@click.argument("source", metavar="SOURCE")
@tracker_option
@click.option(
    "--port",
    type=port_from(1),
    default=6881,
    show_default=True,
    metavar="N",
    help="The port that trackers are told.",
)
@timeout_option
@json_option
@backend_option
def announce(
    source: str, urls: tuple[str, ...], port: int, timeout: float, as_json: bool, backend: str
) -> int:
    """Announce to the trackers of SOURCE, show what each answers, and leave again.

    SOURCE is a .torrent file, its http(s) URL, - for stdin, a magnet link, or an info-hash
    of 40 digits with --tracker.
    """
    subject = _asked_of_trackers(source, urls)

    def begin(trackers: Trackers, now: float, url: str) -> list[Found]:
        return trackers.add(subject.info_hash, [[url]], now, subject.private)

    return _ask_each(subject, port, begin, timeout, as_json, backend)


def _ask_each(
    subject: Subject,
    port: int,
    begin: Callable[[Trackers, float, str], list[Found]],
    timeout: float,
    as_json: bool,
    backend: str,
) -> int:
    """Ask all trackers at the same time; OK if one of them answers, else CommandFailed."""
    from .runner import run_async

    urls = tuple(dict.fromkeys(subject.urls))
    printer = Printer(as_json, alone=len(urls) == 1)
    urls = _usable(urls, printer)

    async def work() -> int:
        import anyio

        async with anyio.create_task_group() as tasks:
            for url in urls:
                tasks.start_soon(_ask, subject, url, port, begin, timeout, printer)
        if not printer.answered:
            raise CommandFailed(_none_answered(printer.failures))
        return OK

    return run_async(work, backend=backend)


def _usable(urls: tuple[str, ...], printer: Printer) -> tuple[str, ...]:
    """Those that may be trackers; the others, of which a torrent may name any, have failed."""
    from torrent_core.trackers import parse_url

    usable = tuple(url for url in urls if parse_url(url) is not None)
    for url in urls:
        if url not in usable:
            why = "no http, https or udp URL of a tracker"
            printer.fail({"event": "failed", "url": url, "message": why}, f"{url}: {why}")
    return usable


def _none_answered(failures: list[str]) -> str:
    if len(failures) == 1:
        return failures[0]
    return f"none of {len(failures)} trackers gave an answer; {failures[0]}"


async def _ask(
    subject: Subject,
    url: str,
    port: int,
    begin: Callable[[Trackers, float, str], list[Found]],
    timeout: float,
    printer: Printer,
) -> None:
    """Put the question to one tracker, wait for the answer, and take leave if need be."""
    import anyio

    from torrent_core.actions import TrackerFailed, TrackerReplied, TrackerScraped
    from transports.inquiry import inquiring

    trackers = make_trackers(subject, port)
    answers: list[Found] = []
    is_over = anyio.Event()

    def tell(found: Found) -> None:
        if not answers and not is_over.is_set():
            printer.tell(found)
        if isinstance(found, TrackerReplied | TrackerFailed | TrackerScraped):
            answers.append(found)

    async with inquiring(trackers, tell) as inquiry:
        inquiry.do(lambda part, now: begin(part, now, url))
        with anyio.move_on_after(timeout):
            await inquiry.until(lambda _: bool(answers))
        is_over.set()
        if not answers:
            fields: dict[str, object] = {"event": "failed", "url": url, "message": "no answer"}
            printer.fail(fields, f"{url}: no answer in {timeout:g} s")
        if any(isinstance(answer, TrackerReplied) for answer in answers):
            inquiry.do(lambda part, now: part.stop(subject.info_hash, now))
            await inquiry.until(lambda part: not part.is_stopping(subject.info_hash))


def make_trackers(subject: Subject, port: int) -> Trackers:
    """Trackers for one question, asked under a name that nobody keeps."""
    import secrets
    from itertools import count
    from random import Random

    from torrent_core.trackers import TrackerConfig, Trackers
    from torrent_core.types import Totals
    from transports.client.client import PEER_ID_PREFIX

    return Trackers(
        PEER_ID_PREFIX + secrets.token_bytes(12),
        secrets.randbits(32),
        Random(secrets.randbits(256)),
        lambda _: Totals(0, 0, subject.size),
        TrackerConfig(port),
        count(1).__next__,
    )
