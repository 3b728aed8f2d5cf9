"""Measures whether the fitted uncertainty keeps its promises, on networks and splits that it was not tuned on."""
