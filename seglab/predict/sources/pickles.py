"""Pickled models: refused without being opened, with the lines that export them safely."""

from pathlib import Path

from seglab.predict.model import Model

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".torchscript")
EXPORT = (
    "torch.export.save(torch.export.export(model, (torch.zeros(1, 3, 512, 1024),), "
    "dynamic_shapes=({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)), 'model.pt2')"
)
HOW = (
    f"model = build_and_load_it().eval(); {EXPORT}, or "
    "torch.onnx.export(model, torch.zeros(1, 3, 512, 1024), 'model.onnx', dynamic_axes={0: {2: 'h', 3: 'w'}}, dynamo=False)"
    ", or model.save_pretrained('folder') where Transformers or segmentation-models-pytorch made it"
)


def find(text: str) -> Model | None:
    """Refuse a pickle; none for anything else.

    Raises:
        ValueError: for a pickle: opening one can run code.
    """
    path = Path(text)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        raise ValueError(f"{path.name} is a pickle, which can run code when opened, so it is refused. Export it: {HOW}")
    return None
