"""Which classes pay for it? ``choices``, ``tabs`` (differences), ``confusion``, ``consumers`` (which model for whom),
``data`` (what is read).
"""
