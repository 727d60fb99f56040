"""Where did a model look? ``gradcam`` (torch) makes maps of evidence, ``pointing`` (no torch) says how well they point.

May import ``predict`` and ``models``. Mean maps over a split are stored by ``records/cams.py``.
"""
