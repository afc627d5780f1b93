"""Videos: frames one after the other, with their time stamps, to masks and an overlay of the same times."""
