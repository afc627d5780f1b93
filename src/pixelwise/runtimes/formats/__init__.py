"""Built-in export targets, one per file; a new file adds a target."""
