"""How a model is run: archive, TorchServe, the front door, and the supervisor that starts and stops them."""
