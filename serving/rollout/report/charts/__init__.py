"""Charts of the report: each module computes positions, and a template beside it draws them as SVG."""
