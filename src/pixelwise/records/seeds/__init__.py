"""Folders of runs of one recipe that differ in their seed alone; never imports torch."""
