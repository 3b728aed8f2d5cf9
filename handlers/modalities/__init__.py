"""What an input of a model is: one package per kind of input."""
