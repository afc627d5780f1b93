"""Runs held against each other: differences with intervals, and what is separated and what is not; no torch."""
