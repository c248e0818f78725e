"""Many conditions on one loaded model."""
