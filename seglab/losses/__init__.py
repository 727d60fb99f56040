"""Losses of dense segmentation (``terms.py``) and the signed distance maps that some of them need (``distance.py``).

Imports nothing of the project. ``terms`` needs torch; ``distance`` is numba, so that loaders compute maps without torch.
"""
