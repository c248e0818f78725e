"""Results against a committed baseline."""
