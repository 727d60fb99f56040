"""Measuring: pure functions of arrays, nothing read or written.

``metrics`` (confusion, IoU, Dice, accuracy), ``boundary`` (Boundary F1, Trimap IoU), ``counts`` (what is kept of one
image, and every metric made of it), ``agreement`` (of several models on one photo), ``statistics`` (over seeds),
``bootstrap`` (over images). A new metric goes here; its key, its name on screen and its place in tables are in
``evidence/curves.py``. Imports nothing of the project.
"""
