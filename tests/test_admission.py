from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from torrent_core.addresses import is_local
from torrent_core.admission import Admission
from torrent_core.limits import (
    INCOMING_SHARE,
    MAX_LINKS,
    MAX_LINKS_PER_ADDRESS,
    MAX_LINKS_PER_LOCAL_ADDRESS,
    MAX_PENDING_HANDSHAKES,
)
from torrent_core.types import CloseReason

PUBLIC, OTHER = "8.8.4.4", "9.9.9.9"
LOCAL = "127.0.0.1"


class AdmissionMachine(RuleBasedStateMachine):
    """Links come and go; nobody is let in beyond a bound, and nobody kept out below it."""

    @initialize(max_links=st.integers(1, 30))
    def make(self, max_links: int) -> None:
        self.admission = Admission(max_links)
        self.most = max(1, int(max_links * INCOMING_SHARE))
        self.inside: dict[int, str] = {}
        self.next = 0

    @rule(host=st.sampled_from([PUBLIC, OTHER, LOCAL]), pending=st.sampled_from([0, 63, 64, 65]))
    def come(self, host: str, pending: int) -> None:
        refused = self.admission.refusal(host, pending)
        from_host = list(self.inside.values()).count(host)
        limit = MAX_LINKS_PER_LOCAL_ADDRESS if host == LOCAL else MAX_LINKS_PER_ADDRESS
        too_many = (
            pending >= MAX_PENDING_HANDSHAKES or len(self.inside) >= self.most or from_host >= limit
        )
        assert refused is (CloseReason.TOO_MANY_LINKS if too_many else None)
        if not too_many:
            self.admission.admit(self.next, host)
            self.inside[self.next] = host
            self.next += 1

    @rule(link=st.integers(0, 40))
    def go(self, link: int) -> None:
        self.admission.forget(link)
        self.inside.pop(link, None)

    @invariant()
    def there_are_never_more_than_their_share(self) -> None:
        assert len(self.inside) <= self.most


TestAdmissionMachine = AdmissionMachine.TestCase


def fill(admission: Admission, host: str) -> int:
    """Links from one host until one is refused."""
    count = 0
    while admission.refusal(host, 0) is None:
        admission.admit((host, count), host)
        count += 1
    return count


def test_strangers_do_not_take_all_links() -> None:
    admission = Admission(MAX_LINKS)
    taken = sum(fill(admission, f"8.8.{host}.8") for host in range(100))
    assert taken == MAX_LINKS * INCOMING_SHARE


@pytest.mark.parametrize("max_links", [0, 1])
def test_one_incoming_link_is_always_allowed(max_links: int) -> None:
    assert fill(Admission(max_links), PUBLIC) == 1


def test_one_public_address_gets_few_links_and_others_are_still_let_in() -> None:
    admission = Admission(MAX_LINKS)
    assert fill(admission, PUBLIC) == MAX_LINKS_PER_ADDRESS
    assert admission.refusal(OTHER, 0) is None


def test_a_swarm_on_one_host_works() -> None:
    assert fill(Admission(1000), LOCAL) == MAX_LINKS_PER_LOCAL_ADDRESS


def test_a_link_that_leaves_makes_room_for_another_from_its_address() -> None:
    admission = Admission(MAX_LINKS)
    fill(admission, PUBLIC)
    admission.forget((PUBLIC, 3))
    assert admission.refusal(PUBLIC, 0) is None


def test_an_address_whose_last_link_left_starts_anew() -> None:
    admission = Admission(MAX_LINKS)
    admission.admit("only", PUBLIC)
    admission.forget("only")
    assert fill(admission, PUBLIC) == MAX_LINKS_PER_ADDRESS


def test_a_link_that_was_never_let_in_leaves_no_trace() -> None:
    admission = Admission(MAX_LINKS)
    fill(admission, PUBLIC)
    admission.forget("never seen")
    admission.forget("never seen")
    assert admission.refusal(PUBLIC, 0) is CloseReason.TOO_MANY_LINKS


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("169.254.1.1", True),
        ("::1", True),
        ("fe80::1", True),
        ("fd00::1", True),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("2606:4700::1111", False),
        ("localhost", False),
        ("example.com", False),
        ("", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_what_counts_as_local(host: str, local: bool) -> None:
    assert is_local(host) is local
