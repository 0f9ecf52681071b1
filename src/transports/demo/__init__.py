"""A real swarm on loopback, with faults, and the story of what happened."""

from .swarm import DemoReport, run_demo

__all__ = ["DemoReport", "run_demo"]
