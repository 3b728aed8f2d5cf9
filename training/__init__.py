"""How a model is made: data, training loop, evaluation, and the release folder that comes out."""
