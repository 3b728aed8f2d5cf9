"""A folder of images explained without a server, as a page to look through: `python -m scripts.gallery FOLDER`."""
