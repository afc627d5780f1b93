"""Loss functions of logits and labels; ignored pixels (255) never count."""
