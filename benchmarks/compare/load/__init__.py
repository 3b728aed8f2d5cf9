"""Load generators: wrk (closed loop) and an open loop."""
