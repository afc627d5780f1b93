"""Verbs about published models."""
