"""Classes of a data set: class tables, labels of annotations, and inference from mask values."""
