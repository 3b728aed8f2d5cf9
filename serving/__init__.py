"""Servers: archives, TorchServe, the proxy, and the supervisor that starts and stops them."""

# Version of the project, as in pyproject.toml. The project is not installed, so it has no package metadata.
VERSION = "0.1.0"
