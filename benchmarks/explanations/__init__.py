"""Cost of explanations: by method and network, under load, and for predictions at the same time."""
