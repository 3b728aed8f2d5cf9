"""What explanations cost: by method and network, under load, and what predictions lose by them."""
