"""A page of explanations for a folder of images, without a server: `python -m scripts.evaluation.gallery FOLDER`."""
