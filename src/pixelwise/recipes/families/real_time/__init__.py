"""Specs of families that were designed for the speed of video."""
