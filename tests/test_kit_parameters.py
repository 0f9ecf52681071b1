"""The kit refuses what cannot be, and names it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from torrent_core.budget import Budget
from torrent_core.errors import LocalProtocolError
from torrent_core.geometry import Geometry
from torrent_core.testing import (
    AbsurdReqq,
    Clock,
    Corrupter,
    Cue,
    Flapper,
    GarbageSender,
    Honest,
    ImpossibleParameter,
    Leaver,
    Leech,
    Liar,
    LinkProfile,
    Payload,
    Peer,
    PromiseBroken,
    Silent,
    SimulatedSwarm,
    SlowHandshake,
    TorrentWorld,
    Trickle,
    World,
    describe_torrent,
    faults,
    make_torrent,
    strategies,
)
from torrent_core.testing.payload import BLOCK, MAX_PAYLOAD
from torrent_core.testing.plan import PeerPlan, SwarmPlan
from torrent_core.testing.promises import expect
from torrent_core.torrent import Budgets
from torrent_core.trace import TorrentSetup

META, PAYLOAD = make_torrent(4 * BLOCK)


def peer(kind: type[Peer], **options: object) -> Callable[[], object]:
    return lambda: TorrentWorld(start=False).make(kind, **options)


def delayed() -> None:
    world = TorrentWorld(start=False)
    world.disk.delays = dict.fromkeys(world.disk.delays or [type(None)], -1.0)
    world.disk.answered_at(None, 0.0)  # type: ignore[arg-type]


REFUSED: list[tuple[str, Callable[[], object]]] = [
    ("latency", lambda: LinkProfile(latency=-0.1)),
    ("latency", lambda: LinkProfile(latency=math.nan)),
    ("jitter", lambda: LinkProfile(jitter=math.inf)),
    ("down", lambda: LinkProfile(down=0.0)),
    ("up", lambda: LinkProfile(up=-1.0)),
    ("loss", lambda: LinkProfile(loss=1.5)),
    ("half_open", lambda: LinkProfile(half_open=-0.5)),
    ("length", lambda: Payload(-1)),
    ("length", lambda: Payload(MAX_PAYLOAD + 1)),
    ("step", lambda: Payload(10)[::2]),
    ("the length of the payload", lambda: make_torrent(0)),
    ("piece_length", lambda: make_torrent(10, 0)),
    ("files", lambda: describe_torrent(PAYLOAD, BLOCK, files=[1, 2])),
    ("files", lambda: describe_torrent(PAYLOAD, BLOCK, files=[-1, 4 * BLOCK + 1])),
    ("have", peer(Honest, have=[99])),
    ("chunk", peer(Honest, chunk=-1)),
    ("latency", peer(Honest, latency=-1.0)),
    ("down", peer(Honest, rate=0.0)),
    ("line", lambda: TorrentWorld(start=False).make(Honest).leave()),
    ("blocks", peer(Silent, blocks=-1)),
    ("blocks", peer(Leaver, blocks=0)),
    ("period", peer(Flapper, period=0.0)),
    ("every", peer(Trickle, every=-5.0)),
    ("every", peer(Corrupter, every=0)),
    ("every", peer(SlowHandshake, every=0.0)),
    ("claims", peer(Liar, claims=[-1])),
    ("blocks", peer(GarbageSender, blocks=1.5)),
    ("size", peer(GarbageSender, size=0)),
    ("depth", peer(Leech, depth=0)),
    ("delay", delayed),
    ("check_every", lambda: World(TorrentWorld(start=False).torrent, check_every=-1)),
    ("budgets", lambda: TorrentWorld(budgets=Budgets(memory=Budget(1)), record=True)),
    ("budgets", lambda: TorrentWorld(budgets=Budgets(), build=TorrentSetup.build)),
    ("record", lambda: TorrentWorld().save_trace()),
    ("to", lambda: SimulatedSwarm().add_peer(Honest)),
    ("piece_length", lambda: SimulatedSwarm(BLOCK, -1)),
    ("times", lambda: faults.fail_first(object, -1)),
    ("number", lambda: faults.fail_nth(-1)),
    ("share", lambda: faults.fail_sometimes(2.0, SimulatedSwarm().random)),
    ("since", lambda: faults.disk_full(Clock(), -1.0, 1.0)),
    ("seconds", lambda: faults.disk_full(Clock(), 1.0, 0.0)),
    ("after", lambda: PeerPlan(after=-1.0)),
    ("after", lambda: Cue(-1.0, None)),
    ("most", lambda: strategies.scripts(Geometry(10, 5), -1)),
    ("torrents", lambda: SwarmPlan(BLOCK, BLOCK, torrents=0)),
    ("failures", lambda: SwarmPlan(BLOCK, BLOCK, failures=1.1)),
    ("hashing", lambda: SwarmPlan(BLOCK, BLOCK, hashing=-1.0)),
    ("most", lambda: strategies.any_messages(-1)),
    ("links", lambda: strategies.events(META, [])),
    ("slowest", lambda: strategies.link_profiles(slowest=0.0)),
    ("slowest", lambda: strategies.link_profiles(slowest=2.0, fastest=1.0)),
    ("latency", lambda: strategies.link_profiles(most_latency=-1.0)),
    ("kinds", lambda: strategies.peer_plans([])),
    ("most", lambda: strategies.ranges(Geometry(10, 5), 0).example()),
    ("most_torrents", lambda: strategies.swarms(most_torrents=0).example()),
    ("most_peers", lambda: strategies.swarms(most_peers=-1).example()),
    ("most_blocks", lambda: strategies.swarms(most_blocks=0).example()),
]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@pytest.mark.parametrize(("name", "make"), REFUSED, ids=[name for name, _ in REFUSED])
def test_what_cannot_be_is_refused_by_its_name(name: str, make: Callable[[], object]) -> None:
    with pytest.raises(ImpossibleParameter, match=name) as refused:
        make()
    assert refused.value.name == name
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, LocalProtocolError)


def test_a_machine_is_not_connected_to_itself() -> None:
    swarm = SimulatedSwarm()
    one = swarm.add_torrent()
    with pytest.raises(ImpossibleParameter, match="other is another machine"):
        swarm.connect(one, one)


def test_a_broken_promise_says_what_it_was_about() -> None:
    expect(True, "never {}", "said")
    with pytest.raises(PromiseBroken, match="link 3 lies"):
        expect(False, "link {} lies", 3)


def test_whatever_reqq_a_peer_claims_it_may_claim() -> None:
    for reqq in (1, 10, 5000, -5, 2**32 + 1):
        swarm = SimulatedSwarm(8 * BLOCK)
        swarm.add_torrent()
        swarm.add_peer(AbsurdReqq, reqq=reqq)
        swarm.finish(60)
