"""Settings that choose themselves: serve a model for real, change one setting at a time, keep what measures better.

`settings.py` says what may be set, `server.py` serves it, `load.py` asks it, `search.py` compares. `scripts/tune` is the
command.
"""
