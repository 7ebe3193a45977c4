"""Does another checkout compute the same bits? Trains every small preset with it, scores, exports and resumes.

    python tests/same_bits.py record CHECKOUT FOLDER [PRESET...]    # runs into FOLDER, digests into digests.json there
    python tests/same_bits.py resume CHECKOUT OTHER FOLDER [PRESET...]    # goes on with the runs that are in OTHER
    python tests/same_bits.py compare FOLDER OTHER

Each run: 50 steps of `quickstart` and of every `*-shapes` preset, evaluated, then lengthened to 60. What is
compared: the SHA-256 of every array of the checkpoints at 50 and 60, every score, and what the export makes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

STEPS, LONGER = 50, 60
METRICS = ("score", "frechet", "kernel", "precision_recall", "density_coverage", "classes", "ms_ssim",
           "sliced_wasserstein")  # fmt: skip
ALSO = {"quickstart": ["memorisation"]} | {
    f"{name}-shapes": ["per_class"] for name in ("r3gan", "acgan", "vtgan", "reacgan", "cgan", "sagan", "biggan")
}
_EXPORTED = """
import hashlib, sys
import tensorflow as tf
signature = tf.saved_model.load(sys.argv[1]).signatures["sample"]
made = signature(num_images=tf.constant(6), seed=tf.constant(3))
print("MADE", hashlib.sha256(made["images"].numpy().tobytes() + made["uint8"].numpy().tobytes()).hexdigest())
"""


def main(command: str, *paths: str) -> None:
    if command == "record":
        record(Path(paths[0]).resolve(), Path(paths[1]).resolve(), only=paths[2:])
    elif command == "resume":
        record(Path(paths[0]).resolve(), Path(paths[2]).resolve(), begun=Path(paths[1]).resolve(), only=paths[3:])
    else:
        compare(Path(paths[0]), Path(paths[1]))


def record(checkout: Path, folder: Path, begun: Path | None = None, only: tuple[str, ...] = ()) -> None:
    """Train with `checkout`; with `begun`, only lengthen the runs there."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = _python(checkout, "-c", "from tfgan_suite.runs.presets import PRESETS; print(*PRESETS)", check=False)
    listed = listed or _python(checkout, "-c", "from tfgan_suite.runs.presets import PRESETS; print(*PRESETS)")
    file = folder / "digests.json"
    digests = json.loads(file.read_text()) if file.exists() else {}
    for preset in listed.split():
        if preset in digests or not (preset == "quickstart" or preset.endswith("-shapes")):
            continue
        if only and preset not in only:
            continue
        run = folder / preset
        shutil.rmtree(run, ignore_errors=True)
        found: dict[str, dict[str, str]] = {}
        if begun is None:
            flags = ["--preset", preset, "--steps", str(STEPS), "--num-images", "500", "--run-dir", str(run)]
            _python(checkout, "-m", "tfgan_suite.fit", *flags)
            output = folder / f"{preset}.json"
            metrics = [*METRICS, *ALSO.get(preset, [])]
            flags = [
                "--num-images",
                "500",
                "--kernel-protocol",
                "blocks",
                "--metrics",
                *metrics,
                "--output",
                str(output),
            ]
            output.unlink(missing_ok=True)
            _python(checkout, "-m", "tfgan_suite.evaluate", str(run), *flags, check=False)  # may refuse its pixels
            found["checkpoint"] = _arrays(run, STEPS)
            if (run / "metrics.jsonl").exists():
                found["scores on the way"] = _scores(map(json.loads, (run / "metrics.jsonl").read_text().splitlines()))
            if output.exists():
                found["scores"] = _scores(json.loads(output.read_text()))
            made = _python(checkout, "-c", _EXPORTED, str(run / "export"))
            found["export"] = {"sample": made.partition("MADE ")[2].strip()}
            grid = (run / "samples" / f"step-{STEPS:06d}.png").read_bytes()
            found["grid"] = {"png": hashlib.sha256(grid).hexdigest()}
            shutil.copytree(run, folder / f"{preset}-at-{STEPS}", dirs_exist_ok=True)
        else:
            shutil.copytree(begun / f"{preset}-at-{STEPS}", run)
        flags = ["--resume", str(run), "--extend", str(LONGER)]
        _python(checkout, "-m", "tfgan_suite.fit", *flags)
        found["lengthened"] = _arrays(run, LONGER)
        digests[preset] = found
        file.write_text(json.dumps(digests, indent=1) + "\n")
        print(preset, {name: len(values) for name, values in found.items()}, flush=True)


def compare(folder: Path, other: Path) -> None:
    one, two = (json.loads((place / "digests.json").read_text()) for place in (folder, other))
    same, different = 0, []
    for preset in one | two:
        parts = one.get(preset, {}).keys() & two.get(preset, {}).keys()
        if not parts:
            different.append(f"{preset}: on one side only")
        for part in sorted(parts):
            values, others = one[preset][part], two[preset][part]
            for name in values | others:
                if values.get(name) == others.get(name):
                    same += 1
                else:
                    different.append(f"{preset}: {part}: {name}: {values.get(name)} {others.get(name)}")
    print("\n".join(different[:100]))
    print(f"{same:,} the same, {len(different):,} different, {len(one | two)} presets")
    sys.exit(bool(different) or not same)


def _arrays(run: Path, step: int) -> dict[str, str]:
    with np.load(run / "checkpoints" / f"step-{step:08d}.npz") as arrays:
        return {
            name: hashlib.sha256(repr((arrays[name].dtype.str, arrays[name].shape)).encode() + arrays[name].tobytes())
            .hexdigest() for name in arrays.files if not name.startswith("about")
        }  # fmt: skip


def _scores(lines) -> dict[str, str]:
    kept = ("value", "spread", "at_half", "extrapolated", "num_images", "num_real", "classifier_fingerprint",
            "reference_fingerprint")  # fmt: skip
    return {f"{line['metric']} {line.get('reference')}": repr([line.get(name) for name in kept]) for line in lines}


def _python(checkout: Path, *arguments: str, check: bool = True) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    done = subprocess.run([sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"{arguments}:\n{done.stdout}\n{done.stderr}")
    return done.stdout if not done.returncode else ""


if __name__ == "__main__":
    main(*sys.argv[1:])
