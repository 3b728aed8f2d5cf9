"""Everything that runs inside a TorchServe worker; each .mar contains it, with models/."""
