"""Attacks on a server of our own, on loopback: each is bounded, ends by itself, and returns figures."""
