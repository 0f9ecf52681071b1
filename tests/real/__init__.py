"""Tests against unmodified clients, over loopback sockets."""
