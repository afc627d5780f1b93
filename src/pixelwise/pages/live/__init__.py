"""Runs while they are trained: followed by their logs, sent to open pages as events."""
