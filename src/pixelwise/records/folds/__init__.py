"""Folders of runs that each leave out another part of the same images: what was divided, and what came out."""
