"""The version: of the package, in signatures and in files."""

__version__ = "0.1.0"
