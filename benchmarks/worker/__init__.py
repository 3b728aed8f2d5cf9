"""Cost of a request inside a worker, without a server."""
