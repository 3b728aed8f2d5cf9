"""A server in a Docker container: build its image, start it, stop it."""
