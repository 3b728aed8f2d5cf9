"""The parts of docs/reference/ that are made from the code.

cli.py, configuration.py, errors.py, metrics.py and model_card.py each return the generated blocks of one page. pages.py
puts the blocks between the markers of the page.
"""
