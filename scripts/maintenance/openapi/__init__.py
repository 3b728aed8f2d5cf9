"""deploy/openapi.json, made from the definitions in the code: `python -m scripts.maintenance.openapi`."""
