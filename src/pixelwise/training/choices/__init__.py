"""What a run chooses by trying it on its machine: the batch that fits, the number format that is fastest."""
