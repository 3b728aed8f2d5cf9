"""Evidence beside an attribution: how faithful it is, and what would change the prediction."""
