"""`torchlight rollout`: start, watch and steer the rollout of a version."""
