"""Compilation of a network to one engine: its code, processors and number format, and the compiler."""
