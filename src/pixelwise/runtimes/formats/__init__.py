"""One file per built-in export target, which registers it; adding a target is adding a file."""
