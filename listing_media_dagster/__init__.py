"""Listing media as software-defined assets: photos of a home in, publishable media out."""

__version__ = "0.1.0"
