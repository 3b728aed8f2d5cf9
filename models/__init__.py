"""What a model is: its architectures, its card, and the folder that a release is kept in."""
