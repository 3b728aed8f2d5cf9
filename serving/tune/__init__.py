"""Settings that choose themselves: serve a model for real, change one setting at a time, keep what measures better.

`settings.py` says what may be set, `server.py` serves it, `questions.py` what it is asked, `load.py` asks, `search.py`
compares. The command is `scripts/tune`.
"""
