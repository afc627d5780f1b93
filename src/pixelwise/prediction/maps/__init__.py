"""Outlines in files of geographic information systems."""
