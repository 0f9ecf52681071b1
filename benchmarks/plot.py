"""Curves on logarithmic axes as SVG, without anything to be installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

WIDTH, HEIGHT = 300, 300
LEFT, TOP, GAP, LEGEND, FOOT = 60, 40, 50, 110, 50
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#56b4e9", "#a6761d", "#444444", "#e6ab02"),
)
"""Told apart by nearly everybody (after Okabe and Ito)."""


class Panel(NamedTuple):
    """Curves by name over one axis, whose label this is."""

    label: str
    curves: Mapping[str, Mapping[int, float]]


def drawn(panels: Sequence[Panel], label: str) -> str:
    """The panels side by side, on one vertical axis with that label."""
    values = [y for panel in panels for curve in panel.curves.values() for y in curve.values()]
    low, high = floor(log10(min(values))), max(ceil(log10(max(values))), 1)
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    width = LEFT + len(panels) * (WIDTH + GAP) + LEGEND
    height = TOP + HEIGHT + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="{TOP - 15}">{escape(label)}</text>',
    ]
    for at, panel in enumerate(panels):
        parts += _panel(panel, LEFT + at * (WIDTH + GAP), low, high, colours)
    parts += _legend(colours, width - LEGEND)
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: Panel, left: int, low: int, high: int, colours: Mapping[str, str]
) -> Iterable[str]:
    furthest = max(x for curve in panel.curves.values() for x in curve)
    decades = max(1, ceil(log10(furthest)))

    def place(x: float, y: float) -> tuple[float, float]:
        up = (log10(y) - low) / (high - low)
        return left + WIDTH * log10(x) / decades, TOP + HEIGHT * (1 - up)

    for power in range(low, high + 1):
        _, y = place(1, 10.0**power)
        yield f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#dddddd"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
    for power in range(decades + 1):
        x, _ = place(10**power, 1)
        yield f'<path d="M{x:.1f} {TOP}v{HEIGHT}" stroke="#dddddd"/>'
        yield f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{10**power:,}</text>'
    middle, below = left + WIDTH / 2, TOP + HEIGHT + 38
    yield f'<text x="{middle}" y="{below}" text-anchor="middle">{escape(panel.label)}</text>'
    for name, curve in panel.curves.items():
        points = [place(x, y) for x, y in curve.items() if y > 0]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = colours[name]
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)


def _legend(colours: Mapping[str, str], left: int) -> Iterable[str]:
    for at, (name, colour) in enumerate(colours.items()):
        y = TOP + 20 + 20 * at
        yield f'<path d="M{left} {y - 4}h20" stroke="{colour}" stroke-width="2"/>'
        yield f'<text x="{left + 26}" y="{y}">{escape(name)}</text>'
