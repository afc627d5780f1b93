"""Encoders: networks that turn images into a list of feature maps, from fine to coarse."""
