"""Evidence beside an attribution: completeness, faithfulness, counterfactual, neighbors and warnings."""
