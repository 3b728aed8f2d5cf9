"""Explanations: why the network gave its answer. A plug-in of the pipeline.

To add an attribution method, add one file to handlers/explain/methods that sets `METHOD = Method(...)`; see
handlers/explain/methods/method.py. handlers/explain/registry.py finds it.
"""
