"""Public functions that train several runs on parts of the same images."""
