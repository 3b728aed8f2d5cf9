"""What a request costs inside a worker, without a server around it."""
