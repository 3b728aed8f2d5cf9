"""Pictures of an attribution: overlay, legend, colormaps, regions."""
