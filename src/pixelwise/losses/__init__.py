"""Losses on logits and labels. Functions first; ignored pixels (255) never count."""
