"""Compiled programs: what is compiled, for which processors, in which number format, and how."""
