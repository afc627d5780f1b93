"""Recipes without a published counterpart: any encoder with any head, and CamVid from scratch."""
