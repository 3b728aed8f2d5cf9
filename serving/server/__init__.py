"""One running server: start it, supervise it, stop it without losing a request."""
