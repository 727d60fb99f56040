"""HEIC and AVIF, what phones make: the container they share is read and cut down to the primary picture (`container`, with
`av1` for the size inside), AVIF goes on to Pillow, HEIC to a process of its own (`decoder` starts it, `child` is it).

The door imports from here; nothing else does.
"""
