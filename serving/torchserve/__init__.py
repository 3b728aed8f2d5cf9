"""TorchServe: its process, its configuration, its tokens and its management API."""
