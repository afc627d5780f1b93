"""The label editor of the pages: masks are changed in their own encoding, atomically, with the original kept."""
