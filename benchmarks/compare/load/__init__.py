"""Load generators: wrk for a closed loop, and an open loop."""
