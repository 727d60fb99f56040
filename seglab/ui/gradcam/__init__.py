"""Where did each model look? ``choices``, ``maps`` (one photo), ``average`` (a split), ``pointer`` (click or box on a
photo).
"""
