"""How a model answers: everything that runs inside a TorchServe worker. Travels with models/ in every .mar."""
