"""A stranger's model in a process of its own: one that crashes, hangs or takes all memory takes nothing else along.

:func:`open_apart` starts the process, which loads the model, answers one small picture and then stays to answer photos and to
draw Grad-CAM maps. A process that is gone is started anew at the next question. All of them together may hold
:func:`memory_limit` bytes; the one that was asked least recently is let go first. The two sides exchange JSON and bare arrays,
never pickles: a process that a hostile file has taken over can answer nonsense, and that is all.
"""

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seglab.predict.model import AnswerError, Facts, Model

if TYPE_CHECKING:
    from torch import nn

LOAD_S = 180.0  # until a process must have loaded its model
ANSWER_S = 120.0  # until it must have answered a photo
MAX_HEADER_BYTES = 2**22
_FIRST_NEED = 2**30  # bytes, of a model that was never loaded
MAX_ARRAY_BYTES = 2**31
MAX_ARRAYS = 8
_KINDS = ("uint8", "float16", "float32", "float64")
Said = dict[str, Any]
Arrays = Sequence[NDArray[Any]]


def send(pipe: IO[bytes], said: Mapping[str, Any], arrays: Arrays = ()) -> None:
    """Write one message: JSON and arrays."""
    parts = [np.ascontiguousarray(one) for one in arrays]
    header = json.dumps([said, [[str(one.dtype), one.shape] for one in parts]]).encode()
    pipe.write(struct.pack("<I", len(header)) + header)
    for one in parts:
        pipe.write(one.data.cast("B") if one.size else b"")
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[Said, list[NDArray[Any]]]:
    """Read one message of :func:`send`.

    Raises:
        EOFError: where the other side is gone.
        ValueError: where it is no message, or larger than this side takes.
    """
    (length,) = struct.unpack("<I", _exactly(pipe, 4))
    if length > MAX_HEADER_BYTES:
        raise ValueError("the message's header is too large")
    said, shapes = json.loads(_exactly(pipe, length))
    if not isinstance(said, dict) or len(shapes) > MAX_ARRAYS:
        raise ValueError("that is no message")
    arrays = []
    for kind, shape in shapes:
        if kind not in _KINDS or not all(isinstance(side, int) and side >= 0 for side in shape):
            raise ValueError("that is no array")
        size = int(np.prod(shape, dtype=object)) * np.dtype(kind).itemsize
        if size > MAX_ARRAY_BYTES:
            raise ValueError("the array is too large")
        arrays.append(np.frombuffer(_exactly(pipe, size), kind).reshape(shape))
    return said, arrays


def _exactly(pipe: IO[bytes], count: int) -> bytearray:
    data = bytearray(count)
    view, at = memoryview(data), 0
    while at < count:
        got = pipe.readinto(view[at:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        at += got
    return data


class Apart:
    """The process of one model; safe to share between threads, which it answers one after the other.

    Args:
        path: of the model, as :func:`seglab.predict.sources.open_model` takes it.
        command: what is run; the model's path comes last.
    """

    def __init__(self, path: str, command: Sequence[str] = (sys.executable, "-m", "seglab.explain.child")) -> None:
        self._path, self._command, self._name = path, [*command, path], Path(path).name
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._late = False
        self.memory_bytes = 0  # that it held when it last answered

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.poll() is None

    def ask(self, said: Mapping[str, Any], arrays: Arrays = (), limit_s: float = ANSWER_S) -> tuple[Said, Arrays]:
        """Ask the model; it is loaded first where its process is not there.

        Raises:
            AnswerError: with one sentence, whatever happens on the other side; the next question starts a new process.
        """
        with self._lock:
            room_for(self)
            if not self.running:
                self._start()
            return self._asked(said, arrays, limit_s)

    def describe(self) -> Said:
        """Load the model in a new process and return what it is."""
        with self._lock:
            room_for(self)
            self._stop()
            return self._start()

    def _start(self) -> Said:
        quiet = dict(os.environ) | {"PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        root = Path(__file__).parents[2]
        self._child = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root, env=quiet
        )
        return self._asked({"ask": "describe"}, (), LOAD_S)[0]

    def _asked(self, said: Mapping[str, Any], arrays: Arrays, limit_s: float) -> tuple[Said, Arrays]:
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        self._late = False
        watch = threading.Timer(limit_s, self._too_late)
        watch.daemon = True
        watch.start()
        found: Said | None = None
        answers: Arrays = ()
        with suppress(EOFError, OSError, ValueError, TypeError):  # gone, or it talks nonsense
            send(child.stdin, said, arrays)
            found, answers = receive(child.stdout)
        watch.cancel()
        if found is None:
            raise AnswerError(self._why(said, limit_s), again=True)
        memory = found.pop("memory_bytes", 0)
        self.memory_bytes = memory if isinstance(memory, int) and memory > 0 else 0
        if error := found.get("error"):
            if said.get("ask") == "describe":
                self._stop()
            raise AnswerError(str(error)[:900])
        return found, answers

    def _too_late(self) -> None:
        self._late = True
        if self._child is not None:
            self._child.kill()

    def _why(self, said: Mapping[str, Any], limit_s: float) -> str:
        """Return why there is no answer; the process is gone afterwards."""
        child, doing = self._child, "it was loaded" if said.get("ask") == "describe" else "it answered"
        assert child is not None
        with suppress(subprocess.TimeoutExpired):
            child.wait(2)
        code = child.poll()
        self._stop()
        if self._late:
            return f"{self._name} did not answer within {limit_s:.0f} s and was stopped"
        if code == -9:
            return f"{self._name} was killed while {doing}; it may need more memory than this machine has"
        how = "it answered nonsense" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{self._name} crashed its process while {doing} ({how}); nothing else was lost, and it is started anew when asked"

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def close(self) -> None:
        """End the process; a later question starts it anew."""
        with self._lock:
            self._stop()

    def close_if_idle(self) -> bool:
        """End the process unless it is answering; return whether it has ended."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._stop()
        finally:
            self._lock.release()
        return True


_ORDER = threading.Lock()
_RECENT: list[Apart] = []  # asked last, last


def room_for(one: Apart) -> None:
    """Let go of the processes asked least recently until the others and this one fit into :func:`memory_limit`."""
    with _ORDER:
        if one in _RECENT:
            _RECENT.remove(one)
        _RECENT[:] = [*(other for other in _RECENT if other.running), one]
        others = _RECENT[:-1]
        need = one.memory_bytes or _FIRST_NEED
        while others and sum(other.memory_bytes for other in others) + need > memory_limit():
            others.pop(0).close_if_idle()


def memory_limit() -> int:
    """Return how many bytes the models in processes of their own may hold together: half of what the machine, or the
    container, has."""
    total = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError, ValueError):
        total.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(total) // 2


@dataclass(frozen=True, eq=False)
class ApartEngine:
    """A model's process, behind the contract of :class:`seglab.predict.engines.Engine`."""

    name: str
    note: str | None
    apart: Apart

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Have the model ready for a shape."""
        self.apart.ask({"ask": "prepare", "shape": list(shape)})

    def scores(self, image: NDArray[np.float32]) -> NDArray[Any]:
        """Return ``(C, H, W)`` scores of a ``(1, 3, H, W)`` image."""
        _, arrays = self.apart.ask({"ask": "scores"}, (image,))
        if len(arrays) != 1 or arrays[0].ndim != 3 or arrays[0].shape[1:] != image.shape[2:]:
            raise AnswerError("the model's process answered another size than it was asked for")
        return arrays[0]


@dataclass(frozen=True, eq=False)
class ApartSource:
    """A model that is asked in a process of its own."""

    apart: Apart
    layers: Mapping[str, str]
    said: Mapping[str, Any] = field(default_factory=dict)

    def network(self) -> "nn.Module":
        """Refuse: the network is in another process.

        Raises:
            ValueError: always.
        """
        raise ValueError("this model runs in a process of its own; export it on the command line")

    def engine(self) -> ApartEngine:
        """Return the engine that answers images."""
        return ApartEngine(str(self.said.get("engine", ""))[:80], self.said.get("note"), self.apart)


def open_apart(path: str | Path, key: str = "") -> Model:
    """Load a model in a process of its own, have it answer one small picture, and return it.

    Args:
        path: as :func:`seglab.predict.sources.open_model` takes it.
        key: how it is called in files and links; its own by default.

    Raises:
        ValueError: where it cannot be used, crashes, needs more memory than there is, or takes too long.
    """
    apart = Apart(str(path))
    said = apart.describe()
    try:
        facts = said["facts"]
        found = Model(
            key=key or str(said["key"])[:64],
            title=str(said["title"])[:80],
            label_space=str(said["label_space"]),
            sha256=str(said["sha256"])[:64],
            network=dict(said["network"]),
            facts=Facts(**{**facts, "test": None, "notes": tuple(map(str, facts["notes"]))}),
            source=ApartSource(apart, {str(k): str(v) for k, v in said["layers"].items()}, said),
            stride=int(said["stride"]),
            foreign=True,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        apart.close()
        raise ValueError(f"{Path(path).name} crashed its process while it was loaded (it answered nonsense)") from None
    return found


def described(model: Model) -> Said:
    """Return what :func:`open_apart` needs of a model, as JSON holds it."""
    facts = asdict(model.facts)
    facts.pop("test")
    names = ("key", "title", "label_space", "sha256", "stride")
    return {name: getattr(model, name) for name in names} | {
        "network": json.loads(json.dumps(dict(model.network), default=str)),
        "facts": facts,
        "layers": dict(model.source.layers),
    }
