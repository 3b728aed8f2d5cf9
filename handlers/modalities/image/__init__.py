"""Images as inputs: read them within limits, decode them, make them pixels of the network's size."""
