"""Models: architectures, the model card, and the release folder."""
