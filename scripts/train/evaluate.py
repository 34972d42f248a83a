"""Top-1 of a health model on unseen pictures: per class and with its confusions, for a .pth or a .tflite."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import degrade
import holdout
import photos

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class TorchModel:
    """A state_dict of train.py."""

    def __init__(self, path, threads):
        import torch
        from torchvision.models import resnet18

        torch.set_num_threads(threads)
        self.torch = torch
        self.model = resnet18(num_classes=len(degrade.LABELS))
        self.model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.model.eval()

    def logits(self, batch):
        """(N, 224, 224, 3) uint8 to (N, classes) float."""
        x = self.torch.from_numpy((batch.astype(np.float32) / 255 - MEAN) / STD).permute(0, 3, 1, 2)
        with self.torch.inference_mode():
            return self.model(x).numpy()


class LiteModel:
    """A .tflite with one NHWC picture in, normalised with the ImageNet values; int8, uint8 or float in and out."""

    def __init__(self, path, threads):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def logits(self, batch):
        """(N, 224, 224, 3) uint8 to (N, classes) float."""
        return np.stack([self.one(picture) for picture in batch])

    def one(self, picture):
        x = (picture.astype(np.float32) / 255 - MEAN) / STD
        if self.input["dtype"] != np.float32:
            scale, zero = self.input["quantization"]
            limits = np.iinfo(self.input["dtype"])
            x = np.clip(np.round(x / scale) + zero, limits.min, limits.max)
        self.interpreter.set_tensor(self.input["index"], x[None].astype(self.input["dtype"]))
        self.interpreter.invoke()
        y = self.interpreter.get_tensor(self.output["index"])[0].astype(np.float32)
        if self.output["dtype"] != np.float32:
            scale, zero = self.output["quantization"]
            y = (y - zero) * scale
        return y


def samples(style, pictures, per_class, seed):
    """(label number, picture) of `per_class` pictures a class."""
    for number, label in enumerate(degrade.LABELS):
        for i in range(per_class):
            if style == "train":
                rng = np.random.default_rng([seed, number, i])
                yield number, degrade.sample(rng, pictures, label)[0]
            else:
                yield number, holdout.sample(pictures[i % len(pictures)], label, f"{seed} {i}")


def confusion(model, style, pictures, per_class, seed, batch=32):
    """(classes, classes) counts: rows are what the picture is, columns what the model says."""
    counts = np.zeros((len(degrade.LABELS),) * 2, int)
    everything = samples(style, pictures, per_class, seed)
    while chunk := [pair for _, pair in zip(range(batch), everything)]:
        guesses = model.logits(np.stack([degrade.to_input(picture) for _, picture in chunk])).argmax(1)
        for (number, _), guess in zip(chunk, guesses):
            counts[number, guess] += 1
    return counts


def report_unaltered(model, pictures, batch=32):
    """How many photos are called clear as they are, and what the others are taken for."""
    counts = np.zeros(len(degrade.LABELS), int)
    for start in range(0, len(pictures), batch):
        guesses = model.logits(np.stack([degrade.to_input(picture) for picture in pictures[start : start + batch]])).argmax(1)
        counts += np.bincount(guesses, minlength=len(counts))
    wrong = [f"{degrade.LABELS[i]} {counts[i]}" for i in np.argsort(-counts) if i and counts[i]]
    print(f"\nunseen pictures as they are: clear {counts[0] / counts.sum():.1%} of {counts.sum()}; {', '.join(wrong)}")


def report(style, counts):
    print(f"\n{style}-style defects on unseen pictures: top-1 {np.trace(counts) / counts.sum():.2%} of {counts.sum()}")
    for number, label in enumerate(degrade.LABELS):
        row = counts[number]
        wrong = [f"{degrade.LABELS[i]} {row[i]}" for i in np.argsort(-row) if i != number and row[i]]
        print(f"  {label:13}{row[number] / row.sum():8.1%}  {', '.join(wrong)}")


def write_calibration(folder, pictures, count, seed):
    """Pictures of all classes from the training side, at the network's size, for INT8 calibration."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        label = degrade.LABELS[i % len(degrade.LABELS)]
        picture, _ = degrade.sample(np.random.default_rng([seed, 7, i]), pictures, label)
        Image.fromarray(degrade.to_input(picture)).save(folder / f"{i:03}-{label}.png")


def write_validation(folder, pictures, per_class, seed):
    """Holdout-style pictures at their own resolution, in one sub-folder a label."""
    for number, picture in samples("holdout", pictures, per_class, seed):
        label = degrade.LABELS[number]
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / label / f"{len(list((folder / label).glob('*.png'))):03}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", type=Path, nargs="*", help=".pth or .tflite")
    parser.add_argument("--photos", type=Path, nargs="+", default=[photos.DEFAULT_FOLDER], help="folders of good pictures")
    parser.add_argument("--per-class", type=int, default=96, help="pictures a class and style")
    parser.add_argument("--styles", nargs="+", choices=["train", "holdout"], default=["train", "holdout"])
    parser.add_argument("--seed", type=int, default=5, help="of the defects")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write-calibration", type=Path, metavar="FOLDER", help="also write pictures for INT8 calibration")
    parser.add_argument("--calibration-pictures", type=int, default=128)
    parser.add_argument("--write-validation", type=Path, metavar="FOLDER", help="also write holdout-style pictures")
    parser.add_argument("--validation-per-class", type=int, default=30)
    args = parser.parse_args()

    unseen = photos.load(args.photos, validation=True)
    if args.write_calibration:
        write_calibration(args.write_calibration, photos.load(args.photos, validation=False), args.calibration_pictures, args.seed)
    if args.write_validation:
        write_validation(args.write_validation, unseen, args.validation_per_class, args.seed)
    for path in args.model:
        model = (LiteModel if path.suffix == ".tflite" else TorchModel)(path, args.threads)
        print(f"{path.name}, {len(unseen)} unseen pictures")
        report_unaltered(model, unseen)
        for style in args.styles:
            report(style, confusion(model, style, unseen, args.per_class, args.seed))


if __name__ == "__main__":
    main()
