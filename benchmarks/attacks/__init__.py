"""Attacks on servers of this machine, on loopback. Each attack is bounded, ends on its own, and returns figures."""
