"""seglab: compare street-scene segmentation models on your own photos, and know which differences are real."""

__version__ = "0.1.0"
