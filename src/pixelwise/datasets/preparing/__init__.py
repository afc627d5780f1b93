"""Fetching public data sets, converting them, and the commands that do it."""
