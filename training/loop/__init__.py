"""The training loop: batches, losses, optimizers, checkpoints, progress."""
