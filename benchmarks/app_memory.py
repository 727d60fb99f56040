"""Memory of the real app: with four models loaded and idle, and at its peak while a 50-megapixel photo is segmented.

python benchmarks/app_memory.py [--results DIR]
"""

import argparse
import os
import sys
import time
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from seglab.data.scenes import make_scene
from seglab.images import MAX_BYTES, encode_jpeg
from seglab.records.store import RESULTS
from tests.browser.server import open_browser, serve, upload, wait_for_panels

IDLE_LIMIT_MIB = 2048
PEAK_LIMIT_MIB = 3584
MIB = 2**20
BIG_PX = (6250, 8000)  # height, width: 50 megapixels


def process_tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:  # gone in the meantime
            continue
    tree = [pid]
    for one in tree:
        tree += [child for child, parent in parents.items() if parent == one]
    return tree


def memory_mib(pid: int, field: str) -> float:
    """Return ``VmRSS`` (now) or ``VmHWM`` (highest since the last reset), summed over a process tree."""
    total_kib = 0
    for one in process_tree(pid):
        lines = Path(f"/proc/{one}/status").read_text().splitlines()
        total_kib += sum(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return total_kib * 1024 / MIB


def reset_peak(pid: int) -> None:
    """Let ``VmHWM`` start again from what is held now."""
    for one in process_tree(pid):
        Path(f"/proc/{one}/clear_refs").write_text("5")


def street(height: int, width: int) -> bytes:
    """Return a street scene as a JPEG that the app accepts; large ones are enlarged from a quarter of their side."""
    scene = make_scene(20_050, height // 4, width // 4).image
    return encode_jpeg(cv2.resize(scene, (width, height), interpolation=cv2.INTER_CUBIC), 90)


def main() -> int:
    """Print both figures beside their limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    small, big = street(960, 1280), street(*BIG_PX)
    assert len(big) <= MAX_BYTES, len(big)
    with serve(env={"SEGLAB_RESULTS": str(args.results.resolve())}) as server, open_browser() as browser:
        pid = server.process.pid
        page = browser.new_context(reduced_motion="reduce").new_page()
        page.goto(server.url)
        upload(page, ("small.jpg", small))
        wait_for_panels(page, photo="small.jpg")
        time.sleep(3)
        idle_mib = memory_mib(pid, "VmRSS")
        print(
            f"idle, four models loaded    {idle_mib:6.0f} MiB   {idle_mib / IDLE_LIMIT_MIB:4.2f} of {IDLE_LIMIT_MIB} MiB"
        )
        reset_peak(pid)
        start = time.monotonic()
        upload(page, ("big.jpg", big))
        wait_for_panels(page, photo="big.jpg")
        peak_mib = memory_mib(pid, "VmHWM")
        print(
            f"peak, {BIG_PX[0] * BIG_PX[1] / 1e6:.0f} megapixels          {peak_mib:6.0f} MiB   "
            f"{peak_mib / PEAK_LIMIT_MIB:4.2f} of {PEAK_LIMIT_MIB} MiB   "
            f"({len(big) / MIB:.1f} MiB JPEG, {time.monotonic() - start:.0f} s, {os.cpu_count()} CPUs)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
