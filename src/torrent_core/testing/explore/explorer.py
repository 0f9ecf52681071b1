"""Walks every run of a tiny torrent, shortest first, and checks every state it reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from .checks import check_same, check_state
from .choices import Choice, Path, listing
from .completion import Bounds, Ending, complete
from .errors import Violation
from .projection import Projector
from .setting import Setting
from .steps import choices, world_after


@attrs.frozen
class Report:
    """What was walked."""

    levels: tuple[int, ...]
    """New states at each depth; the first is where the walk began."""
    steps: int
    """Steps taken from one of these states, to a new one or not."""
    full_depth: int
    """Every run of so many steps was walked; deeper ones only as far as the limit allowed."""
    complete: int
    """States in which the download is complete."""
    continuations: int
    """States from which the way to the end was walked: machines that differ, that is."""
    longest: Ending
    """The most steps and the most seconds that any of these took."""

    @property
    def states(self) -> int:
        """Distinct states visited."""
        return sum(self.levels)

    def text(self) -> str:
        """A few lines for people."""
        counts = ", ".join(map(str, self.levels))
        return (
            f"{self.states} states, {self.steps} steps, every run of {self.full_depth} steps\n"
            f"new states by depth: {counts}\n"
            f"complete: {self.complete} states; walked to the end from {self.continuations}, "
            f"in at most {self.longest.steps} steps and {self.longest.seconds:.2f} s\n"
            "all accounted for, repeatable, and able to complete"
        )


class Explorer:
    """Explores the runs of ``setting`` that go on from any in ``begin``, ``depth`` steps more.

    Of two runs that lead to states with the same projection (``projection``) only the
    shorter is gone on with.  In each new state it is checked that every missing block is on
    an account and no account names a moment before the next deadline; that the run, repeated,
    gives the same actions; and that once an honest peer comes and failures end, the download
    completes within ``bounds`` (where the machines are equal, once for all of them).

    With ``limit``, the walk ends after so many states.  Raises ValueError for a negative
    depth, a limit below 1, or nothing to begin with.
    """

    def __init__(
        self,
        setting: Setting | None = None,
        *,
        depth: int,
        begin: Sequence[Path] = ((),),
        limit: int | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        if depth < 0:
            raise ValueError(f"'depth' cannot be {depth}")
        if limit is not None and limit < 1:
            raise ValueError(f"'limit' cannot be {limit}")
        if not begin:
            raise ValueError("'begin' needs a run to go on from: the empty one will do")
        self._setting = setting or Setting()
        self._depth = depth
        self._begin = begin
        self._limit = limit
        self._bounds = bounds or Bounds.of(self._setting)
        self._projector = Projector()
        self._seen: set[bytes] = set()
        self._shown: dict[bytes, Ending] = {}
        self._steps = 0
        self._complete = 0

    def run(self) -> Report:
        """Walk.  Raises Violation, with the run that leads there, at the first state in which
        a promise is broken: no shorter run breaks one."""
        self._seen.clear()
        self._shown.clear()
        self._steps = self._complete = 0
        level = list(self._visit(self._begin))
        levels = [len(level)]
        while level and len(levels) <= self._depth and not self._is_full:
            level = list(self._visit((*path, choice) for path, then in level for choice in then))
            levels.append(len(level))
        walked = len(levels) - 1
        return Report(
            levels=tuple(levels),
            steps=self._steps,
            full_depth=walked - self._is_full,
            complete=self._complete,
            continuations=len(self._shown),
            longest=Ending(*map(max, zip(*self._shown.values(), strict=True))),
        )

    @property
    def _is_full(self) -> bool:
        return len(self._seen) == self._limit

    def _visit(self, paths: Iterable[Path]) -> Iterator[tuple[Path, list[Choice]]]:
        """Those of ``paths`` that lead to new states, with what may happen there."""
        for path in paths:
            if self._is_full:
                return
            try:
                then = self._look(path)
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise Violation(f"{what}\nafter\n{listing(path)}\nin {self._setting}") from error
            if then is not None:
                yield path, then

    def _look(self, path: Path) -> list[Choice] | None:
        """What may happen at the end of ``path``; None if the state there is no news."""
        world = world_after(self._setting, path)
        self._steps += 1
        state = self._projector.project(world)
        whole = b"".join(state)
        if whole in self._seen:
            return None
        self._seen.add(whole)
        self._complete += world.is_complete
        check_state(world)
        then = choices(world)
        again = world_after(self._setting, path)
        check_same(world, again)
        if state.machine not in self._shown:
            self._shown[state.machine] = complete(again, self._bounds)
        return then
