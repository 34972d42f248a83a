"""Trains resnet18-camera-health: a ResNet-18 that tells what is wrong with a camera's picture. See README.md."""

import argparse
import math
import os
import time
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18

import degrade
import photos

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
# how often each class is drawn: more of what has the most kinds and is hardest to learn
CLASS_SHARE = {
    "clear": 0.6, "dark": 0.6, "overexposed": 0.6, "blurred": 0.8, "covered": 1.0,
    "noisy": 1.2, "low_contrast": 0.7, "color_cast": 1.0, "scrambled": 3.0,
}  # fmt: skip
CLASS_SHARE = np.array([CLASS_SHARE[name] for name in degrade.LABELS])
CLASS_SHARE /= CLASS_SHARE.sum()
# how often a picture comes with its clear twin, the same scene without the defect
CLEAR_TWIN = {"scrambled": 0.8, "color_cast": 0.3, "noisy": 0.5, "blurred": 0.2, "overexposed": 0.15}
CLEAR_TWIN = np.array([CLEAR_TWIN.get(name, 0.0) for name in degrade.LABELS])
FULL_WIDTH = 64  # channels of a ResNet-18's first layer


class Degraded(Dataset):
    """Item i is always the same: pictures of one scene, degraded and at times also clear, as (input, label number)."""

    def __init__(self, pictures, seed):
        self.pictures, self.seed = pictures, seed

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        number = int(rng.choice(len(CLASS_SHARE), p=CLASS_SHARE))
        after, before = degrade.sample(rng, self.pictures, degrade.LABELS[number])
        item = [(degrade.to_input(after), number)]
        if rng.random() < CLEAR_TWIN[number]:
            item.append((degrade.to_input(degrade.mild_sensor(rng, before)), degrade.LABELS.index("clear")))
        return item


class Replay:
    """Batches of new pictures and of pictures shown before, each time framed a little differently and mirrored or not.

    Making a picture costs more than a step of the thin network on it. With `mining` above 0 what the network gets wrong is
    shown again more often than what it knows; that also moves the classes' shares, so the last steps should do without.
    """

    FRESH_LOSS = 1.0  # taken for the loss of what was never shown

    def __init__(self, pictures, seed, workers, capacity, mining=0.0):
        self.pictures, self.seed, self.workers, self.capacity, self.mining = pictures, seed, workers, capacity, mining
        self.kept = []
        self.losses = np.zeros(capacity)  # of the kept items when they were shown last
        self.shown = []  # of the newest batch: an item's place in kept, or None, and how many pictures it has

    def batches(self, first, steps, fresh, batch, size):
        """`steps` batches with `fresh` new items each, the first of them number `first` of the seed.

        Kept items fill a batch up to `batch` pictures, or one more; the first batches are smaller.
        """
        rng = np.random.default_rng([self.seed, first, 1])
        made = Degraded(self.pictures, self.seed + 1)
        while len(self.kept) < min(self.capacity, 200 * fresh):  # or the first ones would be shown too often
            self.losses[len(self.kept)] = self.FRESH_LOSS
            self.kept.append(made[first + len(self.kept)])
        order = range(first, first + steps * fresh)
        extra = {"num_workers": self.workers, "prefetch_factor": 4} if self.workers else {}
        for new in DataLoader(Degraded(self.pictures, self.seed), fresh, sampler=order, collate_fn=list, **extra):
            shown = [(None, item) for item in new]
            count = sum(len(item) for _, item in shown)
            if self.kept and count < batch:
                weights = self.mining * self.losses[: len(self.kept)] + (1 - self.mining) + 0.1
                for place in rng.choice(len(self.kept), batch, p=weights / weights.sum()):
                    shown.append((place, self.kept[place]))
                    count += len(shown[-1][1])
                    if count >= batch:
                        break
            views, labels = zip(*[one for _, item in shown for one in view(rng, item, size)])
            self.shown = [(place, len(item)) for place, item in shown]
            yield torch.from_numpy(np.stack(views)), torch.tensor(labels)
            for item in new if self.capacity else []:
                place = len(self.kept) if len(self.kept) < self.capacity else int(rng.integers(self.capacity))
                self.kept[place:place + 1] = [item]
                self.losses[place] = self.FRESH_LOSS

    def learn(self, losses):
        """Takes the losses (N,) of the newest batch."""
        at = 0
        for place, pictures in self.shown:
            if place is not None:
                self.losses[place] = losses[at : at + pictures].max()
            at += pictures


def view(rng, item, size):
    """The item's pictures at size x size, all framed alike: nearly whole, mirrored or not."""
    side = int(degrade.INPUT_SIZE * rng.uniform(0.88, 1)) if rng.random() < 0.5 else degrade.INPUT_SIZE
    y, x = rng.integers(0, degrade.INPUT_SIZE - side + 1, 2)
    mirror = -1 if rng.random() < 0.5 else 1
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    return [
        (cv2.resize(picture[y : y + side, x : x + side], (size, size), interpolation=how)[:, ::mirror], number)
        for picture, number in item
    ]


def log_prior():
    """Log of each class's share of the pictures, twins included, shape (classes,).

    Added to the logits in training, it makes the network's own logits those of classes equally frequent.
    """
    share = CLASS_SHARE.copy()
    share[degrade.LABELS.index("clear")] += (CLASS_SHARE * CLEAR_TWIN).sum()
    return torch.tensor(np.log(share / share.sum()), dtype=torch.float32)


def normalised(batch, device):
    batch = batch.to(device).permute(0, 3, 1, 2).float() / 255
    batch = (batch - MEAN.to(device)) / STD.to(device)
    return batch.contiguous(memory_format=torch.channels_last)


def new_model(width, device):
    """A ResNet-18 with `width` channels in its first layer; 64 is torchvision's own, the others are thinner copies."""
    model = resnet18(num_classes=len(degrade.LABELS), zero_init_residual=True)
    divide = FULL_WIDTH // width
    for name, module in list(model.named_modules()) if divide > 1 else []:
        owner = model.get_submodule(name.rpartition(".")[0])
        if isinstance(module, nn.Conv2d):
            inputs = 3 if module.in_channels == 3 else module.in_channels // divide
            shape = {"kernel_size": module.kernel_size, "stride": module.stride, "padding": module.padding, "bias": False}
            thin = nn.Conv2d(inputs, module.out_channels // divide, **shape)
            nn.init.kaiming_normal_(thin.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            thin = nn.BatchNorm2d(module.num_features // divide)
            nn.init.constant_(thin.weight, module.weight[0].item())
        elif isinstance(module, nn.Linear):
            thin = nn.Linear(module.in_features // divide, module.out_features)
        else:
            continue
        setattr(owner, name.rpartition(".")[2], thin)
    return model.to(device, memory_format=torch.channels_last)


def widened(state, times, spread=0.7):
    """The state_dict of a network `times` as wide that computes the same (Net2WiderNet, Chen et al. 2016).

    Each channel is repeated; what reads it shares its weight among the copies in unequal random parts, which sum to
    one, so that the copies learn different things from then on. `spread` is how unequal.
    """
    wide = OrderedDict()
    for key, value in state.items():
        if value.ndim >= 2:
            if key != "fc.weight":
                value = value.repeat(times, *[1] * (value.ndim - 1))
            if key != "conv1.weight":
                parts = 1 + spread * (2 * torch.rand(times, *value.shape[:2], device=value.device) - 1)
                parts = (parts / parts.sum(0)).reshape(times, *value.shape[:2], *[1] * (value.ndim - 2))
                value = torch.cat([value * part for part in parts], dim=1)
        elif value.ndim == 1 and key != "fc.bias":
            value = value.repeat(times)
        wide[key] = value
    return wide


def widen(model, width, device):
    wider = new_model(width, device)
    wider.load_state_dict(widened(model.state_dict(), width // model.conv1.out_channels))
    return wider


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
    """Re-estimates the batch-norm statistics of the averaged weights."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # cumulative mean
    model.train()
    replay = Replay(pictures, seed, workers, capacity=0)
    with torch.no_grad():
        for batch, _ in replay.batches(0, math.ceil(count / 32), 32, 32, degrade.INPUT_SIZE):
            model(normalised(batch, device))
    model.eval()


def balance_classes(model, pictures, seed, count, device):
    """Sets the last layer's biases to the likeliest for classes equally frequent, on `count` new pictures of the training side.

    Mining and unequal shares leave some classes favoured.
    """
    logits, labels = [], []
    with torch.no_grad():
        for start in range(0, count, 32):
            numbers = [i % len(degrade.LABELS) for i in range(start, min(start + 32, count))]
            made = [
                degrade.to_input(degrade.sample(np.random.default_rng([seed, 3, start + i]), pictures, degrade.LABELS[number])[0])
                for i, number in enumerate(numbers)
            ]
            logits.append(model(normalised(torch.from_numpy(np.stack(made)), device)).cpu())
            labels.extend(numbers)
    logits, labels = torch.cat(logits), torch.tensor(labels)
    shift = torch.zeros(len(degrade.LABELS), requires_grad=True)
    optimizer = torch.optim.LBFGS([shift], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(logits + shift, labels) + 1e-3 * shift.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    shift = (shift - shift.mean()).detach()
    for name, before, after in zip(degrade.LABELS, recognised(logits, labels), recognised(logits + shift, labels)):
        print(f"  {name:13} right {before:.2f}, balanced {after:.2f}", flush=True)
    with torch.no_grad():
        model.fc.bias += shift.to(device)


def recognised(logits, labels):
    """Share of each class that is recognised."""
    right = logits.argmax(1) == labels
    return [right[labels == i].float().mean().item() for i in range(logits.shape[1])]


def write_whole(value, path):
    """torch.save that never leaves half a file."""
    part = path.with_name(path.name + ".part")
    torch.save(value, part)
    os.replace(part, path)


def export(model, path):
    state = OrderedDict((k, v.detach().cpu().contiguous().clone()) for k, v in model.state_dict().items())
    write_whole(state, path)


def parse_stage(text):
    parts = [int(part) for part in text.split(":")]
    if len(parts) != 5:
        raise argparse.ArgumentTypeError(f"{text}: five numbers are wanted")
    width, size, fresh, batch, _ = parts
    if FULL_WIDTH % width or not 64 <= size <= degrade.INPUT_SIZE or not 0 < fresh <= batch:
        raise argparse.ArgumentTypeError(f"{text}: a width divides {FULL_WIDTH}, a size is 64 to {degrade.INPUT_SIZE}, new pictures are part of the batch")
    return tuple(parts)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="+", default=[photos.DEFAULT_FOLDER], help="folders of good pictures")
    parser.add_argument(
        "--balance-photos", type=Path, nargs="+", help="folders whose photos that are not trained with set the last layer's biases"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint.pth and resnet18-camera-health.pth")
    parser.add_argument(
        "--stages",
        type=parse_stage,
        nargs="+",
        default=["16:112:24:128:3000", "16:160:20:96:900", "16:224:16:64:900", "32:224:16:48:700", "64:224:12:32:450"],
        help="what is trained in turn, each as width : picture size : new items a step : pictures a step : steps",
    )
    parser.add_argument(
        "--lr", type=float, nargs="+", default=[3e-3, 1e-3, 4e-4], help="peak learning rates of AdamW, one cycle for each width"
    )
    parser.add_argument("--replay", type=int, default=12000, help="items kept to be shown again, 150 or 300 kB each")
    parser.add_argument("--mining", type=float, default=0.5, help="0..1: how far pictures are chosen to be shown again by their loss")
    parser.add_argument("--weight-decay", type=float, default=0.03, help="of the kernels")
    parser.add_argument("--label-smoothing", type=float, default=0.05, help="share spread over the other labels")
    parser.add_argument("--ema", type=float, default=0.99, help="decay a step of the averaged weights, which are what is exported")
    parser.add_argument("--seed", type=int, default=18, help="of pictures, labels and first weights")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch on the CPU")
    parser.add_argument("--processes", type=int, default=1, help="processes that share each step, on the CPU")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pictures, for each of them; 0: none beside it")
    parser.add_argument("--checkpoint-every", type=int, default=50, help="steps")
    parser.add_argument("--weights", type=Path, help="state_dict to begin with in place of random weights")
    parser.add_argument("--resume", action="store_true", help="go on from checkpoint.pth in --out")
    parser.add_argument("--export-only", action="store_true", help="export checkpoint.pth in --out as it is, without training")
    parser.add_argument("--settle-pictures", type=int, default=768, help="pictures for the final batch-norm statistics")
    args = parser.parse_args()
    args.stages = [parse_stage(s) if isinstance(s, str) else s for s in args.stages]
    return args


class Trainer:
    """Trains through the stages; `step` counts over all of them and is where a resumed run goes on."""

    SAVED = ("model", "ema", "optimizer")

    def __init__(self, args, pictures, rank):
        self.args, self.rank, self.step = args, rank, 0
        self.replay = Replay(pictures, args.seed + 100 * rank, args.workers, args.replay // args.processes, args.mining)
        self.begin(args.stages[0][0])

    def begin(self, width):
        """The model, its running average and an optimizer, for a network of `width`: new, or widened from the average."""
        device = self.args.device
        self.model = widen(self.ema, width, device) if hasattr(self, "ema") else new_model(width, device)
        self.ema = new_model(width, device)
        self.ema.load_state_dict(self.model.state_dict())
        groups = parameter_groups(self.model, self.args.weight_decay)
        self.optimizer = torch.optim.AdamW(groups)

    def save(self):
        parts = {name: getattr(self, name).state_dict() for name in self.SAVED}
        width = self.model.conv1.out_channels
        write_whole({"step": self.step, "width": width, **parts}, self.args.out / "checkpoint.pth")

    def load(self, path):
        state = torch.load(path, map_location=self.args.device, weights_only=True)
        if state["width"] != self.model.conv1.out_channels:
            self.begin(state["width"])
        for name in self.SAVED:
            getattr(self, name).load_state_dict(state[name])
        self.step = state["step"]

    def run(self):
        first = shown = 0
        for number, (width, size, fresh, batch, steps) in enumerate(self.args.stages):
            skipped = min(max(self.step - first, 0), steps)
            if skipped < steps:
                if width != self.model.conv1.out_channels:
                    self.begin(width)
                self.stage(number, skipped, shown + skipped * fresh)
            first, shown = first + steps, shown + steps * fresh

    def stage(self, number, skipped, first_picture):
        args = self.args
        width, size, fresh, batch, steps = args.stages[number]
        criterion = nn.CrossEntropyLoss(label_smoothing=args.label_smoothing, reduction="none")
        prior = log_prior().to(args.device)
        # one learning-rate cycle for each width; it follows the pixels, since a step's cost differs between stages
        work = [s[4] * s[3] * s[1] ** 2 if s[0] == width else 0 for s in args.stages]
        widths = list(dict.fromkeys(s[0] for s in args.stages))
        peak = args.lr[min(widths.index(width), len(args.lr) - 1)]
        losses, rights, started = [], [], time.monotonic()
        data = self.replay.batches(first_picture, steps - skipped, *(math.ceil(n / args.processes) for n in (fresh, batch)), size)
        # on a CPU, processes of one thread each are half as fast again as one process of as many threads
        model = DistributedDataParallel(self.model) if args.processes > 1 else self.model
        for step, (pictures, labels) in enumerate(data, skipped):
            rate = one_cycle((sum(work[:number]) + work[number] * step / steps) / sum(work), peak)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.model.train()
            labels = labels.to(args.device)
            logits = model(normalised(pictures, args.device))
            each = criterion(logits + prior, labels)
            loss = each.mean()
            self.replay.learn(each.detach().cpu().numpy())
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()
            self.step += 1
            average(self.ema, self.model, self.step, args.ema)
            losses.append(loss.item())
            rights.append((logits.argmax(1) == labels).float().mean().item())
            if self.step % 20 == 0 and self.rank == 0:
                seconds = time.monotonic() - started
                print(
                    f"step {self.step} width {width} size {size} loss {np.mean(losses[-40:]):.3f} "
                    f"right {np.mean(rights[-40:]):.3f} lr {rate:.5f} {seconds:.0f} s",
                    flush=True,
                )
            if (self.step % args.checkpoint_every == 0 or step + 1 == steps) and self.rank == 0:
                self.save()


def train(rank, args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed + rank)
    if args.processes > 1:
        rendezvous = f"file://{(args.out / 'rendezvous').resolve()}"
        distributed.init_process_group("gloo", rendezvous, rank=rank, world_size=args.processes)
    pictures = photos.load(args.photos, validation=False)
    trainer = Trainer(args, pictures, rank)
    if args.weights:
        for model in (trainer.model, trainer.ema):
            model.load_state_dict(torch.load(args.weights, map_location=args.device, weights_only=True))
    if args.resume or args.export_only:
        trainer.load(args.out / "checkpoint.pth")
    if rank == 0:
        print(f"{len(pictures)} training pictures, from step {trainer.step}", flush=True)
    if not args.export_only:
        trainer.run()
    if rank == 0:
        settle_batch_norm(trainer.ema, pictures, args.seed + 1000, args.settle_pictures, args.device, args.workers)
        unseen = photos.load(args.balance_photos, validation=True) if args.balance_photos else pictures
        balance_classes(trainer.ema, unseen, args.seed + 2000, 2 * args.settle_pictures, args.device)
        path = args.out / "resnet18-camera-health.pth"
        export(widen(trainer.ema, FULL_WIDTH, args.device), path)
        print(f"wrote {path}", flush=True)
    if args.processes > 1:
        distributed.destroy_process_group()


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rendezvous").unlink(missing_ok=True)
    if args.processes > 1:
        torch.multiprocessing.spawn(train, (args,), args.processes)
    else:
        train(0, args)


if __name__ == "__main__":
    main()
