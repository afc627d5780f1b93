"""What pages need networks for, in a process of its own: PyTorch is never loaded by the server."""
