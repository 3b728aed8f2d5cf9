"""Servers: archives, TorchServe, the proxy, and the supervisor that starts and stops them."""

# Of the project, as in pyproject.toml: it is not installed, so nothing else could be asked.
VERSION = "0.1.0"
