"""Example plug-in with one extension of every kind that a package can add to Pixelwise."""
