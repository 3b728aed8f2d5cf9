"""The commands: each parses its flags, calls one of the packages, and prints."""
