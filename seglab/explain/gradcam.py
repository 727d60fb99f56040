"""Grad-CAM and its relatives: where in a layer's features the evidence for a class score lies.

One mechanism for all: a forward up to the scores of every class, cut at one layer; what is explained is a callable over
those scores; its gradient at the layer weighs the layer's features. All questions about a photo share one forward.

The model is never touched. An :class:`Explainer` works on a copy of the module tree that shares parameters and buffers,
and has its own hook and its own train/eval state; gradients are taken at the layer only.

Sources: Grad-CAM, Selvaraju et al., ICCV 2017; Grad-CAM++, Chattopadhay et al., WACV 2018 (its closed form for a score
under an exponential); HiResCAM, Draelos and Carin, arXiv:2011.08891; for segmentation (a sum over a region's pixels),
Vinogradova et al., AAAI 2020.
"""

import copy
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seglab.explain.pointing import METHODS, Method, enlarge
from seglab.models.dense import STRIDE
from seglab.models.mask2former import QueryModel, query_sums
from seglab.predict.segmenter import to_input

Target = Callable[[Tensor], Tensor]  # scores (C, H, W) of one image -> the one number to explain
Region = NDArray[np.bool_]
Map = NDArray[np.float32]


def class_mean(class_id: int, region: Region) -> Target:
    """Return the target "mean score of a class over a region".

    Args:
        class_id: row of the scores.
        region: ``(H, W)``, at the size of the image: the pixels predicted as the class, a box, one pixel, a labelled area.

    Raises:
        ValueError: where the region holds no pixel.
    """
    if not region.any():
        raise ValueError(
            "expected a region of at least one pixel, got an empty one; choose another class or draw a box"
        )
    pixels = torch.from_numpy(np.flatnonzero(region))
    return lambda scores: scores[class_id].flatten()[pixels.to(scores.device)].mean()


def class_sum(class_id: int, region: Region) -> Target:
    """Return the target "sum of a class's scores over a region"; see :func:`class_mean`."""
    mean, count = class_mean(class_id, region), int(region.sum())
    return lambda scores: mean(scores) * count


def as_image(pixels: NDArray[np.uint8]) -> Tensor:
    """Turn ``(H, W, 3)`` uint8 RGB into ``(1, 3, H, W)`` normalised float32, not padded: maps keep the photo's pixels."""
    height, width = pixels.shape[:2]
    return torch.from_numpy(to_input(pixels)[..., :height, :width])


class Look:
    """One forward of one image, ready to be asked about. Holds the graph from the layer on."""

    def __init__(self, scores: Tensor, activation: Tensor) -> None:
        self.scores = scores  # (C, H, W): logits, or a query model's class sums
        self.activation = activation  # (1, D, h, w) of the layer, over the image padded to a multiple of 32

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """The prediction, ``(H, W)``."""
        return self.scores.detach().argmax(0).to(torch.uint8).cpu().numpy()

    def cam(self, target: Target, method: Method = "gradcam") -> Map:
        """Return the raw map ``(h, w)`` of a target: signed, in the units of its score, at the layer's size.

        Positive values speak for the target, negative ones against it; nothing is scaled, so that maps of one model can be
        compared. The methods' own rectifier is left to the reader (``np.maximum(raw, 0)``).

        Raises:
            ValueError: for an unknown method, or a target that does not depend on the layer.
        """
        if method not in METHODS:
            raise ValueError(f"expected a method out of {', '.join(METHODS)}, got {method!r}")
        value = target(self.scores)
        if not value.requires_grad:
            raise ValueError("expected a target that depends on the scores, got a constant; its layer explains nothing")
        gradient = torch.autograd.grad(value, self.activation, retain_graph=True)[0][0]
        features = self.activation.detach()[0]
        raw = (_weights(gradient, features, method) * features).sum(0)
        return raw.float().cpu().numpy()

    def cams(self, targets: Sequence[Target], method: Method = "gradcam") -> Map:
        """Return ``(K, h, w)``: :meth:`cam` of several targets, all from this forward."""
        return np.stack([self.cam(target, method) for target in targets])

    def enlarge(self, raw: Map) -> Map:
        """Bring a map of :meth:`cam` to the image's pixels; see :func:`enlarge`."""
        return enlarge(raw, *self.scores.shape[-2:])


def _weights(gradient: Tensor, features: Tensor, method: Method) -> Tensor:
    """Return what each feature counts: ``(D, 1, 1)``, or ``(D, h, w)`` for HiResCAM."""
    if method == "hirescam":
        return gradient
    if method == "gradcam":
        return gradient.mean((1, 2), keepdim=True)
    total = features.sum((1, 2), keepdim=True)
    # g^2 / (2 g^2 + sum(A) g^3), shortened by g^2: the gradient of a mean over many pixels is tiny
    share = 2 + total * gradient
    alpha = torch.where((gradient != 0) & (share.abs() > 1e-6), 1 / share, 0)
    return (alpha * gradient.relu()).sum((1, 2), keepdim=True)


class Explainer:
    """Asks one model about one of its layers; safe to share between threads, and beside others that use the model.

    Args:
        model: of :mod:`seglab.models`, in any state; it is neither changed nor hooked.
        layer: a module of it whose output is one map of features, ``(N, D, h, w)``; see ``ModelSpec.cam_layers``.

    Raises:
        ValueError: where the model has no such module.
    """

    def __init__(self, model: nn.Module, layer: str) -> None:
        shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
        self._net = copy.deepcopy(model, shared).eval()  # tensors are found in the memo, not copied
        self.layer = layer
        try:
            module = self._net.get_submodule(layer)
        except AttributeError:
            raise ValueError(f"expected a layer of the model, got {layer!r}") from None
        self._thread = threading.local()
        module.register_forward_hook(self._cut)

    def _cut(self, module: nn.Module, args: object, output: object) -> Tensor | None:
        """Let the graph begin here: what came before needs none."""
        leaves: list[Tensor] | None = getattr(self._thread, "leaves", None)
        if leaves is None:
            return None
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise ValueError(f"expected layer {self.layer} to answer one (N, D, h, w) tensor; choose another layer")
        torch.set_grad_enabled(True)  # of this thread; the no_grad around the forward puts it back
        leaves.append(output.detach().requires_grad_())
        return leaves[-1].clone()  # the next module may work in place

    def look(self, image: Tensor) -> Look:
        """Run one forward.

        Args:
            image: ``(1, 3, H, W)`` normalised float32, any H and W.

        Raises:
            ValueError: where the image has another shape, or the layer does not run exactly once.
        """
        if image.ndim != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"expected an image (1, 3, H, W), got {tuple(image.shape)}")
        self._thread.leaves = leaves = list[Tensor]()
        try:
            with torch.no_grad():
                scores = self._scores(image)
        finally:
            self._thread.leaves = None
        if len(leaves) != 1:
            raise ValueError(
                f"expected layer {self.layer} to run once, it ran {len(leaves)} times; choose another layer"
            )
        return Look(scores, leaves[0])

    @torch.no_grad()
    def scores(self, image: Tensor) -> Tensor:
        """Return ``(C, H, W)`` class scores before the argmax, without a graph; see :meth:`look`."""
        return self._scores(image)

    def _scores(self, image: Tensor) -> Tensor:
        answer = self._net(image)
        if isinstance(self._net, QueryModel):
            height, width = image.shape[-2:]
            return query_sums(answer[0], answer[1], height, width, scale=self._net.mask_scale)[0]
        logits: Tensor = answer[0]
        return logits


def deletion(
    explainer: Explainer,
    image: Tensor,
    raw: Map,
    target: Target,
    shares: Sequence[float] = (0.02, 0.05, 0.1, 0.2, 0.4),
    draws: int = 3,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Blank the cells with the highest evidence, and as many others, and see what that does to the target.

    Args:
        explainer: of the model that made the map.
        image: ``(1, 3, H, W)`` that it was asked about.
        raw: map of the target, ``(h, w)``; its cells are what is blanked, with the mean colour of the training data.
        target: what the map explains.
        shares: of the cells that are blanked, each in (0, 0.5].
        draws: random choices of other cells that are averaged.
        seed: of those choices.

    Returns:
        The target's value ``(1 + len(shares),)`` with the highest evidence blanked, and with others blanked; the first
        of each is that of the whole image.
    """
    if not all(0 < share <= 0.5 for share in shares):
        raise ValueError(f"expected shares in (0, 0.5], got {', '.join(map(str, shares))}")
    height, width = image.shape[-2:]
    rows, columns = (  # cells whose centre is padding blank nothing
        (np.arange(cells) + 0.5) * (length + -length % STRIDE) / cells < length
        for cells, length in zip(raw.shape, (height, width), strict=True)
    )
    inside = np.flatnonzero(np.logical_and.outer(rows, columns))
    if inside.size < 2:
        raise ValueError(
            f"expected a map of two cells or more, got {inside.size}; take another layer or a larger photo"
        )
    order, rng = inside[np.argsort(-raw.ravel()[inside], kind="stable")], np.random.default_rng(seed)

    def value(cells: NDArray[np.intp]) -> float:
        blank = np.zeros(raw.size, np.uint8)
        blank[cells] = 1
        size = (width + -width % STRIDE, height + -height % STRIDE)
        area = cv2.resize(blank.reshape(raw.shape), size, interpolation=cv2.INTER_NEAREST)[:height, :width]
        keep = torch.from_numpy(1 - area).to(image)
        return float(target(explainer.scores(image * keep)))

    whole = value(order[:0])
    evidence, elsewhere = [whole], [whole]
    for share in shares:
        count = max(1, round(share * order.size))
        evidence.append(value(order[:count]))
        others = [value(rng.choice(order[count:], count, replace=False)) for _ in range(draws)]
        elsewhere.append(sum(others) / draws)
    return np.array(evidence), np.array(elsewhere)
