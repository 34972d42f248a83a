"""Trains resnet18-camera-health: a ResNet-18 that tells what is wrong with a camera's picture. See README.md."""

import argparse
import math
import os
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18

import degrade
import photos

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
CLASS_SHARE = np.array([1.6 if name == "clear" else 1.2 if name == "scrambled" else 1.0 for name in degrade.LABELS])
CLASS_SHARE /= CLASS_SHARE.sum()


class Degraded(Dataset):
    """Item i is always the same: label, and `views` crops of `size` pixels of its 224-pixel input.

    Crops rather than smaller pictures: noise and sharpness keep the statistics they have at 224 pixels.
    """

    def __init__(self, pictures, seed, size, views):
        self.pictures, self.seed, self.size, self.views = pictures, seed, size, views

    def __len__(self):
        return 1 << 62

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        label = int(rng.choice(len(CLASS_SHARE), p=CLASS_SHARE))
        after, before = degrade.sample(rng, self.pictures, degrade.LABELS[label])
        after = degrade.to_input(after)
        if self.size == degrade.INPUT_SIZE:
            crops = [after] * self.views
        else:
            local = degrade.LABELS[label] in ("scrambled", "covered")
            crops = self.crops(rng, after, degrade.to_input(before) if local else None)
        return torch.from_numpy(np.stack(crops)), label

    def crops(self, rng, after, before):
        """Random crops; where the defect is local, those of several that show most of it."""
        room = degrade.INPUT_SIZE - self.size
        places = rng.integers(0, room + 1, (self.views * (1 if before is None else 4), 2))
        if before is not None:
            change = np.abs(after.astype(np.int16) - before).max(axis=2) > 24
            seen = [-change[y : y + self.size, x : x + self.size].sum() for y, x in places]
            places = places[np.argsort(seen)[: self.views]]
        return [after[y : y + self.size, x : x + self.size] for y, x in places]


def batches(pictures, seed, stage, first, last, workers):
    """Batches number first..last of a stage: uint8 (N, H, W, 3) and labels (N,)."""
    size, per_step, views, _ = stage
    data = Degraded(pictures, seed, size, views)
    loader = DataLoader(data, per_step, sampler=range(first * per_step, last * per_step), num_workers=workers, prefetch_factor=4 if workers else None)
    for crops, labels in loader:
        yield crops.flatten(0, 1), labels.repeat_interleave(views)


def normalised(batch, device):
    batch = batch.to(device).permute(0, 3, 1, 2).float() / 255
    batch = (batch - MEAN.to(device)) / STD.to(device)
    return batch.contiguous(memory_format=torch.channels_last)


def new_model(device):
    model = resnet18(num_classes=len(degrade.LABELS), zero_init_residual=True)
    return model.to(device, memory_format=torch.channels_last)


def parameter_groups(model, weight_decay):
    """Weight decay on the kernels only."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def one_cycle(done, peak):
    """Learning rate after the share `done` (0..1) of the work: linear warm-up, then half a cosine."""
    warm = 0.12
    if done < warm:
        return peak * (0.05 + 0.95 * done / warm)
    return peak * max(0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm))), 0.003)


def average(ema, model, step, decay):
    keep = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for ours, theirs in zip(ema.state_dict().values(), model.state_dict().values()):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - keep)
            else:
                ours.copy_(theirs)


def settle_batch_norm(model, pictures, seed, count, device, workers):
    """Re-estimates the batch-norm statistics for whole 224-pixel pictures, which training on crops didn't see."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
    model.train()
    with torch.no_grad():
        stage = (degrade.INPUT_SIZE, 32, 1, 0)
        for batch, _ in batches(pictures, seed, stage, 0, math.ceil(count / 32), workers):
            model(normalised(batch, device))
    model.eval()


def write_whole(value, path):
    """torch.save that never leaves half a file."""
    part = path.with_name(path.name + ".part")
    torch.save(value, part)
    os.replace(part, path)


def export(model, path):
    state = OrderedDict((k, v.detach().cpu().contiguous().clone()) for k, v in model.state_dict().items())
    write_whole(state, path)


def parse_stage(text):
    size, per_step, views, steps = (int(part) for part in text.split(":"))
    if not 64 <= size <= degrade.INPUT_SIZE:
        raise argparse.ArgumentTypeError(f"{text}: the size is 64 to {degrade.INPUT_SIZE}")
    return size, per_step, views, steps


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--photos", type=Path, default=photos.DEFAULT_FOLDER, help="folder of good pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint.pth and resnet18-camera-health.pth")
    parser.add_argument(
        "--stages",
        type=parse_stage,
        nargs="+",
        default=["96:40:2:600", "128:32:2:300", "224:32:1:120"],
        help="what is trained in turn, each as crop size : pictures a step : crops a picture : steps",
    )
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate of AdamW, one cycle over all stages")
    parser.add_argument("--weight-decay", type=float, default=0.03, help="of the kernels")
    parser.add_argument("--label-smoothing", type=float, default=0.05, help="share spread over the other labels")
    parser.add_argument("--ema", type=float, default=0.99, help="decay a step of the averaged weights, which are what is exported")
    parser.add_argument("--seed", type=int, default=18, help="of pictures, labels and first weights")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch on the CPU")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pictures")
    parser.add_argument("--checkpoint-every", type=int, default=50, help="steps")
    parser.add_argument("--weights", type=Path, help="state_dict to begin with in place of random weights")
    parser.add_argument("--resume", action="store_true", help="go on from checkpoint.pth in --out")
    parser.add_argument("--export-only", action="store_true", help="export checkpoint.pth in --out as it is, without training")
    parser.add_argument("--settle-pictures", type=int, default=768, help="pictures for the final batch-norm statistics")
    args = parser.parse_args()
    args.stages = [parse_stage(s) if isinstance(s, str) else s for s in args.stages]
    return args


def train(args, pictures, model, ema, state):
    """Trains from state["step"] on, step counted over all stages."""
    optimizer = torch.optim.AdamW(parameter_groups(model, args.weight_decay), lr=args.lr)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    criterion = nn.CrossEntropyLoss(label_smoothing=args.label_smoothing)
    # the learning rate follows the work done (pixels), since a step's cost differs from stage to stage
    work = [size * size * per_step * views for size, per_step, views, _ in args.stages]
    total = sum(w * stage[3] for w, stage in zip(work, args.stages))
    first, done, started = 0, 0, time.monotonic()
    for number, stage in enumerate(args.stages):
        last = first + stage[3]
        skipped = min(max(state["step"] - first, 0), stage[3])
        done += skipped * work[number]
        loss_mean = right_mean = None
        step = first + skipped
        # each stage has its own pictures: no seed is shared
        for batch, labels in batches(pictures, args.seed * 100 + number, stage, skipped, stage[3], args.workers):
            rate = one_cycle(done / total, args.lr)
            for group in optimizer.param_groups:
                group["lr"] = rate
            model.train()
            labels = labels.to(args.device)
            logits = model(normalised(batch, args.device))
            loss = criterion(logits, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            average(ema, model, step, args.ema)
            step, done = step + 1, done + work[number]
            right = (logits.argmax(1) == labels).float().mean().item()
            loss_mean = loss.item() if loss_mean is None else 0.95 * loss_mean + 0.05 * loss.item()
            right_mean = right if right_mean is None else 0.95 * right_mean + 0.05 * right
            if step % 10 == 0:
                seconds = time.monotonic() - started
                print(f"step {step} size {stage[0]} loss {loss_mean:.3f} right {right_mean:.3f} lr {rate:.5f} {seconds:.0f} s", flush=True)
            if step % args.checkpoint_every == 0 or step == last:
                state = {"step": step, "model": model.state_dict(), "ema": ema.state_dict(), "optimizer": optimizer.state_dict()}
                write_whole(state, args.out / "checkpoint.pth")
        first = last


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    pictures = photos.load(args.photos, validation=False)
    model, ema = new_model(args.device), new_model(args.device)
    if args.weights:
        model.load_state_dict(torch.load(args.weights, map_location=args.device, weights_only=True))
    ema.load_state_dict(model.state_dict())
    state = {"step": 0}
    if args.resume or args.export_only:
        state = torch.load(args.out / "checkpoint.pth", map_location=args.device, weights_only=True)
        model.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
    print(f"{len(pictures)} training pictures, from step {state['step']}", flush=True)
    if not args.export_only:
        train(args, pictures, model, ema, state)
    settle_batch_norm(ema, pictures, args.seed * 100 + 99, args.settle_pictures, args.device, args.workers)
    path = args.out / "resnet18-camera-health.pth"
    export(ema, path)
    print(f"wrote {path}", flush=True)


if __name__ == "__main__":
    main()
