"""Getting, dividing, converting and drawing data sets: what writes files for people."""
