"""Rollouts under open-loop load: failed requests, time to the last answer of a bad version, time to full share."""
