"""Train one recipe; killed at any moment, the same command goes on where it stopped.

python -m trainers.train trainers/recipes/camvid-deeplabv3plus.yaml --data DIR
python -m trainers.train trainers/recipes/camvid-deeplabv3plus.yaml --data DIR --set epochs=2 --set lr=5e-4
"""

import math
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from typer import Argument, Option

from seglab.cli import single
from seglab.labels import space
from seglab.losses.terms import needs_maps, parse_recipe, weighted_sum
from seglab.measure.counts import summarise_images
from seglab.models import DenseModel, QueryModel, num_parameters
from seglab.models.mask2former import query_scores
from seglab.models.weights import save_weights
from seglab.predict.networks import load_run
from seglab.records.files import check_name, sha256_file
from seglab.records.runs import SCHEMA_VERSION, read_record
from seglab.records.store import RESULTS
from seglab.records.writer import RunWriter
from trainers.training.errors import TrainingError, explain
from trainers.training.evaluation import measure
from trainers.training.loading import TrainingData, epoch_batches
from trainers.training.options import DataRoot, Overrides, Results, Track
from trainers.training.recipe import Recipe, load_recipe
from trainers.training.resume import check_origins, check_same
from trainers.training.setup import (
    build_distiller,
    build_model,
    build_optimizer,
    describe_split,
    environment,
    learning_rate,
    locked,
    now,
    open_splits,
    pick_precision,
    seed_everything,
)
from trainers.training.tracking import watch
from trainers.training.watcher import Watcher


class Training:
    """One run in progress: model, optimizer and the record they feed."""

    def __init__(
        self,
        recipe: Recipe,
        data_root: Path,
        results: Path = RESULTS,
        progress: bool = True,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.watchers = watchers
        check_name(recipe.variant, "a variant name")
        self.recipe, self.progress = recipe, progress
        self.folder = results / check_name(recipe.experiment, "an experiment name") / recipe.run_name
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_num_threads(recipe.threads or len(os.sched_getaffinity(0)))
        self.precision = pick_precision(recipe, self.device)
        self.loss = parse_recipe(recipe.loss)
        self.train_data, self.val_data = open_splits(recipe, data_root)
        self.label_space = space(self.val_data.label_space)
        map_classes = self.label_space.num_classes if needs_maps(self.loss) else 0
        self.samples = TrainingData(self.train_data, recipe.data, recipe.seed, map_classes)
        seed_everything(recipe.seed, 0)
        self.model, self.warm_start = build_model(recipe, self.label_space.num_classes, results)
        # bf16 convolutions are fast in this layout, and slow in the other one
        self.layout = torch.channels_last if self.precision == "bf16" else torch.contiguous_format
        self.model.to(self.device, memory_format=self.layout)
        self.distiller, self.teacher = build_distiller(recipe, self.model, self.device, results)
        self.class_weights = self._class_weights()
        self.optimizer = build_optimizer(recipe, self.model, self.distiller)
        self.steps_per_epoch = len(self.samples) // recipe.batch_size
        self.epoch, self.best_miou, self.stale, self.plateau = 0, -1.0, 0, 1.0
        self.seconds: list[float] = []
        self.opened: dict[str, Any] = {}  # the record, once it is open
        self.stopping = False  # asked to, by a signal

    # -- what is written -------------------------------------------------------------------------------------------
    def record(self) -> dict[str, Any]:
        """Return the record of a run that starts now."""
        recipe = self.recipe
        return {
            "schema_version": SCHEMA_VERSION,
            "experiment": recipe.experiment,
            "variant": recipe.variant,
            "title": recipe.title,
            "seed": recipe.seed,
            "model": {
                "key": recipe.model.key,
                "size": recipe.model.size,
                "options": recipe.model.options,
                "parameters": num_parameters(self.model),
            },
            "label_space": self.label_space.key,
            "data": {
                "name": self.train_data.name,
                "train": describe_split(self.train_data, recipe.data.recordings),
                "val": describe_split(self.val_data, recipe.data.val_recordings),
            },
            "warm_start": self.warm_start,
            "teacher": self.teacher,
            "recipe": recipe.as_dict(),
            "environment": environment(self.device, self.precision),
            "provenance": "trained",
            "status": "running",
            "started": now(),
        }

    def save_state(self) -> None:
        """Store everything a resumed run needs, atomically."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "distiller": self.distiller.projections.state_dict() if self.distiller else {},
            "epoch": self.epoch,
            "best_miou": self.best_miou,
            "stale": self.stale,
            "plateau": self.plateau,
            "seconds": self.seconds,
        }
        partial = self.folder / "state.pt.tmp"
        with open(partial, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / "state.pt")

    def load_state(self) -> None:
        """Go back to the last stored state."""
        state = torch.load(self.folder / "state.pt", map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.distiller:
            self.distiller.projections.load_state_dict(state["distiller"])
        self.epoch, self.best_miou = state["epoch"], state["best_miou"]
        self.stale, self.plateau, self.seconds = state["stale"], state["plateau"], state["seconds"]

    # -- training --------------------------------------------------------------------------------------------------
    def run(self) -> dict[str, Any]:
        """Train to the end and return the final record; see :func:`train`."""
        with locked(self.folder):
            writer = self._open_record()
            if writer.record["status"] == "finished":
                if self.progress:
                    print(f"{self.folder.name} is finished already; nothing was trained")
                return writer.record
            # SIGINT too: a shell starts background jobs with Ctrl-C ignored
            previous = {s: signal.signal(s, self._interrupt) for s in (signal.SIGTERM, signal.SIGINT)}
            self.opened = writer.record
            try:
                for watcher in self.watchers:
                    watcher.started(self)
                self._epochs(writer)
            except (KeyboardInterrupt, Exception) as error:
                if self.stopping or isinstance(error, KeyboardInterrupt):
                    message = f"stopped by hand after epoch {self.epoch}"
                    writer.update(status="interrupted", stopped=now(), message=message)
                    raise KeyboardInterrupt from error
                message = explain(error)
                with suppress(OSError):  # a full disk: the record on it is still the last whole one
                    writer.update(status="failed", stopped=now(), message=message)
                raise TrainingError(message) from error
            finally:
                for watcher in self.watchers:
                    watcher.ended(self, writer.record)
                for number, handler in previous.items():
                    signal.signal(number, handler)
            (self.folder / "state.pt").unlink(missing_ok=True)
            return writer.record

    def _interrupt(self, *_: Any) -> None:
        """Answer SIGINT and SIGTERM; remembered too, for torch.save turns a KeyboardInterrupt into a RuntimeError."""
        self.stopping = True
        raise KeyboardInterrupt

    def _open_record(self) -> RunWriter:
        if (self.folder / "run.json").exists():
            old, ours = read_record(self.folder), self.record()
            check_same(old, ours, self.folder.name)
            writer = RunWriter(self.folder, old)
            if old["status"] == "finished":
                return writer
            check_origins(old, ours, self.folder.name)
            if (self.folder / "state.pt").exists():
                self.load_state()
            writer.rewind(self.epoch)
            for field in ("message", "stopped"):
                writer.record.pop(field, None)
            again = {"time": now(), "epoch": self.epoch, "environment": ours["environment"]}
            writer.update(status="running", teacher=self.teacher, resumed=[*old.get("resumed", []), again])
            return writer
        return RunWriter(self.folder, self.record())

    def _epochs(self, writer: RunWriter) -> None:
        recipe = self.recipe
        while self.epoch < recipe.epochs:
            epoch = self.epoch + 1
            start = time.perf_counter()
            seed_everything(recipe.seed, epoch)
            train_loss, lr = self._one_epoch(epoch)
            self.seconds.append(round(time.perf_counter() - start, 3))
            last = epoch == recipe.epochs
            if last or epoch % recipe.eval_every == 0:
                last = self._evaluate(writer, epoch, train_loss, lr, last) or last
            self.epoch = epoch
            if last:
                break
            if epoch % recipe.save_every == 0:
                self.save_state()
        writer.update(
            status="finished",
            finished=now(),
            epochs=self.epoch,
            seconds_per_epoch=round(float(np.median(self.seconds)), 3),
            peak_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        )

    def _one_epoch(self, epoch: int) -> tuple[float, float]:
        recipe = self.recipe
        self.model.train()
        total, lr = 0.0, 0.0
        batches = epoch_batches(self.samples, epoch, recipe.batch_size)
        bar = tqdm(
            batches,
            total=self.steps_per_epoch,
            disable=not self.progress,
            desc=f"{recipe.variant} {epoch}/{recipe.epochs}",
            unit_scale=recipe.batch_size,
            unit="img",
            leave=False,
        )
        for step, (image, target, maps) in enumerate(bar):
            if self.stopping:  # a library swallowed the interrupt
                raise KeyboardInterrupt
            lr = self._set_lr((epoch - 1) * self.steps_per_epoch + step)
            image, target = image.to(self.device, memory_format=self.layout), target.to(self.device)
            loss = self._loss(image, target, None if maps is None else maps.to(self.device))
            if not math.isfinite(loss.item()):
                raise TrainingError(
                    f"the loss is not finite at epoch {epoch}, step {step + 1}; lower lr (now {lr:.2g}) or clip_norm and "
                    "train that as another variant"
                )
            (loss / recipe.accumulate).backward()
            if (step + 1) % recipe.accumulate == 0 or step + 1 == self.steps_per_epoch:
                if recipe.clip_norm:
                    nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            total += loss.item()
            bar.set_postfix(loss=f"{total / (step + 1):.3f}", refresh=False)
        return total / self.steps_per_epoch, lr

    def _loss(self, image: Tensor, target: Tensor, maps: Tensor | None) -> Tensor:
        recipe, weights = self.recipe, self.class_weights
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            if isinstance(self.model, QueryModel):
                set_loss, answer = self.model.set_loss(image, target)
                with torch.autocast(self.device.type, enabled=False):  # their logarithm wants all the bits
                    logits = query_scores(*answer, *image.shape[-2:]).clamp_min(1e-6).log()
                extra, features = recipe.set_loss * set_loss, []
            else:
                assert isinstance(self.model, DenseModel)
                logits, aux, features = self.model.forward_all(image)
                extra = logits.new_zeros(())
                if aux is not None:
                    extra = recipe.aux_weight * weighted_sum(self.loss, aux, target, weights, maps)
            loss = weighted_sum(self.loss, logits, target, weights, maps) + extra
            if self.distiller:
                loss = loss + self.distiller(image, target, logits, features)
        return loss

    def _evaluate(self, writer: RunWriter, epoch: int, train_loss: float, lr: float, last: bool) -> bool:
        """Record an evaluation; the last one is of the stored float16 weights. Return whether to stop early."""
        recipe, start = self.recipe, time.perf_counter()
        per_image = measure(self._store_weights(writer) if last else self.model, self.val_data)
        result = summarise_images(per_image, self.label_space.names)
        if result["miou"] > self.best_miou:
            self.best_miou, self.stale = result["miou"], 0
        else:
            self.stale += 1
        if recipe.schedule == "plateau" and self.stale and self.stale % recipe.plateau_patience == 0:
            self.plateau *= recipe.plateau_factor
        stop = bool(recipe.early_stopping) and self.stale >= recipe.early_stopping
        if stop and not last:  # the headline is always of stored weights at the last epoch
            per_image = measure(self._store_weights(writer), self.val_data)
            result = summarise_images(per_image, self.label_space.names)
        took = {"seconds": self.seconds[-1], "eval_seconds": round(time.perf_counter() - start, 3)}
        row = {"epoch": epoch, "train_loss": train_loss, "lr": lr, **took, **result}
        writer.append_epoch(row)
        if last or stop or epoch % 10 == 0:
            writer.save_counts(epoch, self.val_data.stems, per_image)
        if last or stop:
            writer.update(metrics=result)
            if not recipe.keep_weights:
                (self.folder / "weights.safetensors").unlink(missing_ok=True)
                writer.update(weights=None)
        for watcher in self.watchers:
            watcher.evaluated(self, row)
        if self.progress:
            print(f"{recipe.variant} epoch {epoch}: loss {train_loss:.3f} val mIoU {result['miou']:.4f}", flush=True)
        return stop

    def _store_weights(self, writer: RunWriter) -> nn.Module:
        """Store the float16 weights and return the model that a reader of the run gets: same layout, same sums."""
        path = self.folder / "weights.safetensors"
        save_weights(self.model, path)
        digest = sha256_file(path)
        writer.update(weights={"file": path.name, "sha256": digest, "dtype": "float16", "bytes": path.stat().st_size})
        return load_run(self.folder).to(self.device)

    def _set_lr(self, step: int) -> float:
        lr = learning_rate(self.recipe, step, self.steps_per_epoch) * self.plateau
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        return lr

    def _class_weights(self) -> Tensor | None:
        if self.recipe.class_weights == "none":
            return None
        frequency = self.samples.class_frequency(self.label_space.num_classes)
        weights = 1 / np.sqrt(np.maximum(frequency, 1e-4))
        weights /= (weights * frequency).sum()  # the weighted mean over pixels stays near 1
        return torch.tensor(weights, dtype=torch.float32, device=self.device)


def train(
    recipe: Recipe,
    data_root: Path,
    results: Path = RESULTS,
    progress: bool = True,
    watchers: Sequence[Watcher] = (),
) -> dict[str, Any]:
    """Train a recipe, or go on with it, and return the final record. Watchers are told of every evaluation.

    Raises:
        TrainingError: where training cannot go on; the record says so too.
        ValueError: where recipe or data are wrong; nothing is written then.
    """
    return Training(recipe, data_root, results, progress, watchers).run()


def train_command(
    recipe_file: Annotated[Path, Argument(metavar="RECIPE", help="A file of trainers/recipes.")],
    data: DataRoot,
    overrides: Overrides = [],
    pretrained: Annotated[
        bool, Option("--pretrained", help="Start from the hub's encoder weights (model.init_encoder=hub).")
    ] = False,
    results: Results = RESULTS,
    track: Track = [],
) -> int:
    """Do what the command line asks; returns the exit code."""
    hub = ["model.init_encoder=hub"] if pretrained else []
    recipe = load_recipe(recipe_file, [*overrides, *hub])
    record = train(recipe, data, results, watchers=watch(track))
    print(f"{record['experiment']}/{record['variant']}-seed{record['seed']}: val mIoU {record['metrics']['miou']:.4f}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(train_command, argv, "python -m trainers.train", __doc__, explain)


if __name__ == "__main__":
    sys.exit(main())
