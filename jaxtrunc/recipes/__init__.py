"""What a verb does, told as a short story."""
