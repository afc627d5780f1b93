"""Verbs that help with setting up: the machine, the editor."""
