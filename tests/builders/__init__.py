"""Test data and plain loops that more than one test file needs."""
