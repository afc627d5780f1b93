"""The pages of data sets: images with their labels, found by what the audit says, by classes, splits and sizes."""
