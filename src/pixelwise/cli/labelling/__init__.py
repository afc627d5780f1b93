"""Verbs that help with labelling."""
