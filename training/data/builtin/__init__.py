"""Built-in data sets: bundled with a library, drawn, or downloaded."""
