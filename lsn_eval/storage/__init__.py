"""Files: whole or not at all, shipped with the package, without keys."""
