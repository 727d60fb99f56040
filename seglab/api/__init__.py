"""The models as a REST service: segment photos and corrupt them, from any language.

``python -m seglab serve`` mounts it under ``/api`` beside the dashboard, where both share models and their queue;
``uvicorn seglab.api:app`` serves it alone. It needs ``requirements-api.txt``. Settings are environment variables:
``SEGLAB_API_TOKEN`` (asked of every request but /health and the OpenAPI page), ``SEGLAB_API_HOSTS`` (names that it
answers to, with commas; localhost by default), ``SEGLAB_API_ORIGINS`` (whose pages may call it),
``SEGLAB_API_PLACES`` (how many at a time).

``app`` puts it together; ``routes`` take requests (``parameters``, ``schema``), ``service`` queues, ``work``
computes, ``models`` says where models come from; ``guards`` and ``linger`` stand before all of it; ``metrics``
counts. May import ``predict``, ``records``, ``data``, ``images``, ``labels``.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """Make ``app`` when a server asks for it."""
    if name == "app":
        from seglab.api.app import create_api

        globals()["app"] = found = create_api()
        return found
    raise AttributeError(name)
