"""The metrics endpoint: a process of its own that answers `GET /metrics` for Prometheus on loopback.

TorchServe's endpoint has no histograms with buckets of our own, no help texts and no way to leave out a label. This
process reads it on each scrape, and publishes proper metric families.
"""
