"""HAProxy in front of TorchServe: its configuration and the maps by which it routes requests."""
