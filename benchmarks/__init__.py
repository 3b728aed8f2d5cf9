"""Every number in the README and docs/ comes from a command here."""
