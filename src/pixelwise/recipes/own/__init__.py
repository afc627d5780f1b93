"""Recipes of our own: any encoder under any head, and CamVid from scratch."""
