"""What does each model see in my photo? ``panels`` (settings, masks), ``tabs`` (below them), ``truth``,
``downloads``, ``own_runs``.
"""
