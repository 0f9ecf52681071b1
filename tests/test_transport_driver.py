"""The driver: order, re-entrancy, timers, and what becomes of bugs."""

from __future__ import annotations

import anyio
import pytest

from torrent_core.actions import CancelDial, Close, Dial, SaveResume, Send, Warned
from torrent_core.deadlines import Deadline
from torrent_core.errors import LocalProtocolError
from torrent_core.events import DialFailed, LinkClosed, Sent, StopTorrent, Tick
from torrent_core.types import Address, CloseReason
from transport_kit import PATIENCE, NoDisk, NoNetwork, Script
from transports.driver import Driver
from transports.errors import ClientClosed

IH = bytes(20)
STOP = StopTorrent(IH)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_driver(script: Script, clock=lambda: 0.0):
    network, disk = NoNetwork(), NoDisk()
    disk.submit = network.asked.append
    return Driver(script, clock, disk, network), network


def test_actions_are_carried_out_in_order_and_reports_go_to_subscribers():
    wanted = [
        Dial(1, Address("h", 1)),
        Send("l", b"x"),
        SaveResume(IH, b"r"),
        Close("l", CloseReason.STOPPING),
        CancelDial(1),
    ]
    script = Script(lambda event: [*wanted[:2], Warned(IH, "careful"), *wanted[2:]])
    driver, network = a_driver(script)
    reports: list[object] = []
    driver.subscribe(lambda report: reports.append((report, len(network.asked))))
    driver.feed(Tick())
    assert network.asked == wanted
    assert reports == [(Warned(IH, "careful"), 2)]


def test_an_event_fed_during_carry_out_waits_for_the_actions_before_it():
    script = Script(lambda event: [Send("l", b"1"), Send("l", b"2")] if event == Tick() else [])
    driver, network = a_driver(script)
    seen: list[int] = []

    def send(action: Send) -> None:
        network.asked.append(action)
        seen.append(len(script.events))
        driver.feed(Sent("l", 1))

    driver._carry[Send] = send
    driver.feed(Tick())
    assert seen == [1, 1]
    assert script.events == [Tick(), Sent("l", 1), Sent("l", 1)]


def test_places_are_asked_of_a_machine_that_has_some_and_has_nothing_else_to_do():
    place = memoryview(bytearray(3))

    class Placing(Script):
        def receive_into(self, link, most):
            assert (link, most) == ("link", 9)
            return [place]

    while_busy: list[list[memoryview]] = []
    driver, _ = a_driver(Placing(lambda event: [Send("link", b"x")] if event == Tick() else []))
    driver._carry[Send] = lambda action: while_busy.append(driver.receive_into("link", 9))
    assert driver.receive_into("link", 9) == [place]
    driver.feed(Tick())
    assert while_busy == [[]]
    driver.failure = RuntimeError()
    assert driver.receive_into("link", 9) == []


def test_a_bug_met_by_asking_for_places_ends_run():
    class Broken(Script):
        def receive_into(self, link, most):
            raise ZeroDivisionError

    driver, _ = a_driver(Broken())
    assert driver.receive_into("link", 9) == []
    assert isinstance(driver.failure, ZeroDivisionError)


def test_no_places_are_asked_of_a_machine_that_gives_none():
    driver, _ = a_driver(Script())
    assert driver.receive_into("link", 9) == []


def test_a_command_that_is_not_allowed_raises_and_the_driver_lives():
    def refuse(event):
        if event == STOP:
            raise LocalProtocolError("no such torrent")
        return []

    driver, _ = a_driver(Script(refuse))
    with pytest.raises(LocalProtocolError, match="no such torrent"):
        driver.command(STOP)
    assert driver.failure is None
    driver.feed(Tick())
    assert driver.session.events[-1] == Tick()


def test_a_command_is_carried_out_with_what_it_leads_to():
    script = Script(lambda event: [Send("l", b"1")] if event == STOP else [])
    driver, network = a_driver(script)
    driver._carry[Send] = lambda action: driver.feed(LinkClosed("l"))
    driver.command(STOP)
    assert script.events == [STOP, LinkClosed("l")]
    assert network.asked == []


def broken(event):
    raise KeyError("a bug")


@pytest.mark.anyio
async def test_a_bug_met_by_an_event_ends_run_and_is_not_raised_to_the_feeder():
    driver, _ = a_driver(Script(broken))
    ended: list[BaseException] = []

    async def run() -> None:
        try:
            await driver.run()
        except KeyError as bug:
            ended.append(bug)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            driver.feed(Tick())
    assert ended == [driver.failure]


@pytest.mark.anyio
async def test_a_bug_met_by_a_command_is_raised_to_the_caller_and_ends_run():
    driver, _ = a_driver(Script(broken))
    with pytest.raises(KeyError):
        driver.command(STOP)
    with pytest.raises(KeyError):
        await driver.run()
    with pytest.raises(ClientClosed):
        driver.command(STOP)


@pytest.mark.anyio
async def test_a_bug_in_carrying_out_ends_run_and_nothing_more_is_handled():
    driver, _ = a_driver(Script(lambda event: [Send("l", b"")]))

    def fail(action):
        driver.feed(DialFailed(1))
        raise OSError("adapter bug")

    driver._carry[Send] = fail
    driver.feed(Tick())
    driver.feed(Tick())
    assert driver.session.events == [Tick()]
    with pytest.raises(OSError, match="adapter bug"):
        await driver.run()


@pytest.mark.anyio
async def test_the_machine_is_woken_at_its_deadline_and_not_before():
    clock = Clock()
    script = Script()
    script.deadline = Deadline(100.0, "now")

    def once(event):
        script.deadline = None
        return ()

    script.react = once
    driver, _ = a_driver(script, clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver.run)
        await script.until(lambda: script.events)
        tasks.cancel_scope.cancel()
    assert script.events == [Tick()]


@pytest.mark.anyio
async def test_a_deadline_that_moves_earlier_wakes_the_sleeping_timer():
    clock = Clock()
    script = Script()
    script.deadline = Deadline(10_000.0, "far away")

    def earlier(event):
        script.deadline = None if event == Tick() else Deadline(50.0, "overdue")
        return ()

    script.react = earlier
    driver, _ = a_driver(script, clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver.run)
        await anyio.wait_all_tasks_blocked()
        assert script.events == []
        driver.feed(DialFailed(1))
        await script.until(lambda: Tick() in script.events)
        tasks.cancel_scope.cancel()
    assert script.events == [DialFailed(1), Tick()]


@pytest.mark.anyio
async def test_a_deadline_that_passes_while_asleep_is_met():
    script = Script()

    def once(event):
        script.deadline = None
        return ()

    script.react = once
    driver, _ = a_driver(script, anyio.current_time)
    script.deadline = Deadline(driver.now + 0.02, "soon")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver.run)
        await script.until(lambda: script.events)
        tasks.cancel_scope.cancel()
    assert script.events == [Tick()]
