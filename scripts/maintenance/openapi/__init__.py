"""deploy/openapi.json, generated from the definitions in the code: `python -m scripts.maintenance.openapi`."""
