"""Stores of large files, of which parts are read: folders of this machine, object stores, servers."""
