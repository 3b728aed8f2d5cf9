"""Tuning: serve a model, change one setting at a time, and keep what measures better.

`settings.py` has the candidates, `server.py` serves them, `reference_requests.py` builds the requests, `load.py` sends
them, `search.py` compares.
"""
