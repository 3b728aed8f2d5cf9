"""The metrics for Prometheus, which the web process (serving/web/) publishes at `/metrics` on loopback.

TorchServe's endpoint has no histograms with buckets of our own, no help texts and no way to leave out a label. The
collector reads it on each scrape, and publishes proper metric families.
"""
