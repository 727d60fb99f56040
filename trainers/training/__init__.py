"""What a training run is made of: ``recipe`` (what is asked), ``setup`` (data, model, optimizer), ``loading``
(batches), ``distil`` (a teacher), ``resume`` (may it go on?), ``watcher`` (who is told), ``tracking`` (MLflow,
TensorBoard), ``options`` (of several commands) and ``errors`` (what is said).
"""
