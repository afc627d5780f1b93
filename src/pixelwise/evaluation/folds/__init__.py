"""Cross-validation: predictions of images that a network has not seen, joint scores, likely label mistakes."""
