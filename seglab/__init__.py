"""seglab: compare street-scene segmentation models on your own photos, and know which differences are real.

Each folder is one noun, and its opening paragraph says what lives in it and what it may import. Imports point
downward only (``tests/test_imports.py`` holds the table): ui, api -> figures, evidence -> explain, predict, records
-> models, data, measure, losses -> images, labels. The trainers import this library, never the reverse.
"""
