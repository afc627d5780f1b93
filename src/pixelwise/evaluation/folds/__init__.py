"""Cross-validation: predictions of images by networks that have not seen them, joint scores, and likely label mistakes."""
