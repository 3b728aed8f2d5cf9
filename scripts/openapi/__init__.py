"""deploy/openapi.json, made from the definitions that the code itself goes by: `python -m scripts.openapi`."""
