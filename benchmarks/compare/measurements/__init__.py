"""One module for each part of a run: it measures, and its class makes the part's section of the page."""
