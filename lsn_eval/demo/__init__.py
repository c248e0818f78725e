"""The whole picture on the embedded model."""
