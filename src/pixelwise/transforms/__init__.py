"""Resizing, cropping, augmentation and mixing of images and labels."""
