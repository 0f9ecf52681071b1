"""What a run of the suite found, as Markdown for README.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from scale import as_tables

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

Found = dict[str, Any]


class Goal(NamedTuple):
    """A figure that there is a goal for."""

    what: str
    part: str
    path: tuple[str, ...]
    """Where it stands in what the part found."""
    bound: float
    at_least: bool = False
    """Whether more is better."""


OURS = "torrent-core"
STREAMS, TRIO = "torrent-core on streams", "torrent-core on trio"


def _speed(what: str, part: str, bound: float, side: str = OURS) -> Goal:
    return Goal(f"{what}: speed", part, ("sides", side, "speed_ratio"), bound, True)


def _cpu(what: str, part: str, bound: float) -> Goal:
    return Goal(f"{what}: processor time", part, ("sides", OURS, "cpu_ratio"), bound, True)


GOALS = [
    _speed("1 GiB from one seeder", "download-1-gib", 1.2),
    _speed("the same over plain anyio streams, on asyncio", "download-1-gib", 0.9, STREAMS),
    _speed("the same over plain anyio streams, on trio", "download-1-gib", 0.9, TRIO),
    _cpu("1 GiB from one seeder", "download-1-gib", 1.0),
    _speed("16 MiB, start included", "download-16-mib", 1.3),
    _speed("128 MiB, start included", "download-128-mib", 1.3),
    _speed("1 GiB from 10 seeders", "download-10-seeders", 1.0),
    _speed("1 GiB in pieces of 16 KiB", "download-16-kib-pieces", 1.0),
    _speed("1 GiB in pieces of 1 MiB", "download-1-mib-pieces", 1.0),
    _speed("1 GiB in pieces of 4 MiB", "download-4-mib-pieces", 1.0),
    _speed("1 GiB, each from its own kind", "self-1-gib", 1.5),
    _speed("1 GiB to libtorrent", "seed-1-gib", 1.0),
    _cpu("1 GiB to libtorrent", "seed-1-gib", 1.3),
    Goal("peak memory, 1 GiB, MiB", "download-1-gib", ("sides", OURS, "peak_mib"), 80),
    Goal("`block_us`", "core", ("block_us",), 8),
    Goal("`block_one_us`", "core", ("block_one_us",), 16),
    Goal("`have_many_us`", "core", ("have_many_us",), 10),
    Goal("`have_alone_us`", "core", ("have_alone_us",), 10),
    Goal("`pick_us`", "core", ("pick_us",), 30),
    Goal("`pick_many_us`", "core", ("pick_many_us",), 30),
    Goal("`bitfield_ms`", "core", ("bitfield_ms",), 5),
    Goal("`disconnect_ms`", "core", ("disconnect_ms",), 5),
    Goal("`torrent-core --help`, ms", "start", ("help_ms",), 200),
    Goal("`import torrent_core` / `import attrs`", "start", ("import_ratio",), 2.5),
]


def as_markdown(found: Found, day: str, machine: str) -> str:
    """Tables of all the parts that are there."""
    parts = [f"{day}; {machine}.", _goals(found), _races(found)]
    if "core" in found:
        parts.append(
            _table(["`core.py`", ""], [[f"`{k}`", _n(v)] for k, v in found["core"].items()])
        )
    if "start" in found:
        rows = [[f"`{k}`", _n(v)] for k, v in found["start"].items()]
        parts.append(_table(["`start.py`", ""], rows))
    if "bounds" in found:
        parts.append(_bounds(found["bounds"]))
    if "scale" in found:
        parts.append(as_tables(found["scale"]))
    if "swarm" in found:
        parts.append(_swarm(found["swarm"]))
    if "faults" in found:
        parts.append(_faults(found["faults"]))
    return "\n\n".join(part for part in parts if part)


def into_readme(text: str, table: str) -> str:
    """README.md with this in place of the table of the run before.

    Raises ValueError if the marks of its place are gone.
    """
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError("the marks of the table are gone")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


# --- Parts -----------------------------------------------------------------------------------


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) if rows else ""


def _n(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _goals(found: Found) -> str:
    rows = []
    for goal in GOALS:
        value = _at(found.get(goal.part), goal.path)
        if value is not None:
            met = value >= goal.bound if goal.at_least else value <= goal.bound
            sign = ">=" if goal.at_least else "<="
            rows.append(
                [goal.what, f"{sign} {goal.bound:g}", _n(float(value)), "" if met else "missed"]
            )
    return _table(["what (ratios are libtorrent / ours)", "goal", "found", ""], rows)


def _at(found: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None


def _races(found: Found) -> str:
    head = ["race", "side", "wall s", "processor s", "peak MiB", "speed x", "processor x"]
    return _table(head, [row for part in found.values() for row in _race(part)])


def _race(part: Any) -> Iterator[list[str]]:
    if not isinstance(part, dict) or "sides" not in part:
        return
    many = f", {part['seeders']} seeders" if part["seeders"] > 1 else ""
    name = (
        f"{part['way']} {part['mib']} MiB in {part['piece_kib']} KiB{many}, {part['pairs']} rounds"
    )
    for side, got in part["sides"].items():
        keys = ("wall_s", "cpu_s", "peak_mib", "speed_ratio", "cpu_ratio")
        yield [name, side, *(_n(float(got[key])) if key in got else "" for key in keys)]


def _bounds(part: Found) -> str:
    rows = [[f"`{k}`", _n(v["wall_s"]), _n(v["cpu_s"])] for k, v in part["bounds"].items()]
    return _table([f"no protocol, {part['mib']} MiB", "wall s", "processor s"], rows)


def _swarm(part: Found) -> str:
    keys = ("mib", "seconds", "peak_mib", "virtual_seconds", "wasted_percent")
    rows = [[f"`{name}`", *(_n(got[key]) for key in keys)] for name, got in part.items()]
    return _table(["simulated", *(key.replace("_", " ") for key in keys)], rows)


def _faults(part: list[Found]) -> str:
    rows = []
    for one in part:
        rows.append(
            [
                f"`{one['scenario']}`",
                *(_n(one[key]) for key in ("bound_s", "goal_s")),
                *(_times(one[key]) for key in ("runs", "libtorrent")),
            ]
        )
    return _table(["beside bad peers, s", "bound", "goal", "torrent-core", "libtorrent"], rows)


def _times(runs: list[Found]) -> str:
    seconds = [run["seconds"] for run in runs]
    return ", ".join("not done" if one is None else f"{one:.2f}" for one in seconds)
