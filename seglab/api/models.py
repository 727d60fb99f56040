"""Where the REST service has its models from: its own, or the dashboard's (:mod:`seglab.ui.serve`)."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from seglab.predict.model import Model
from seglab.predict.shelf import served

if TYPE_CHECKING:
    from seglab.predict.segmenter import Segmenter


class Models(Protocol):
    """Where the service has its models from."""

    @property
    def pool(self) -> ThreadPoolExecutor:
        """One thread: models never run beside each other."""

    def offered(self) -> Mapping[str, Model]:
        """Return the models that can be asked, by key."""

    def segmenter(self, key: str) -> "Segmenter":
        """Return a model, loaded where it is not yet; in the pool's thread only."""

    def loaded(self) -> Sequence[str]:
        """Return the keys of the models that are loaded."""


class OwnModels:
    """The deployment's and the bundled models, for a service of its own."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="seglab-api")
        self._loaded: dict[str, Segmenter] = {}

    def offered(self) -> Mapping[str, Model]:
        """Return the deployment's and the bundled models."""
        return served()

    def segmenter(self, key: str) -> "Segmenter":
        """Return a model, loaded where it is not yet."""
        from seglab.predict.segmenter import Segmenter

        if key not in self._loaded:
            self._loaded[key] = Segmenter(self.offered()[key])
        return self._loaded[key]

    def loaded(self) -> Sequence[str]:
        """Return the keys of the models that are loaded."""
        return list(self._loaded)


class Loader:
    """Loads all models, in the models' thread, once each unless that fails."""

    def __init__(self, bench: Models) -> None:
        self._bench = bench
        self._asked: set[str] = set()
        self.done: set[str] = set()
        self.failed: dict[str, str] = {}

    def load_all(self) -> None:
        """Ask for the models that are not loaded, nor being loaded."""
        for key in self._bench.offered():
            if key not in self._asked:
                self._asked.add(key)
                self._bench.pool.submit(self._load, key)

    def _load(self, key: str) -> None:
        try:
            self._bench.segmenter(key)
        except Exception as error:  # told by /ready; the others go on, and this one is tried again when asked for
            self.failed[key] = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            self._asked.discard(key)
        else:
            self.done.add(key)
            self.failed.pop(key, None)
