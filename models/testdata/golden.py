#!/usr/bin/env python3
"""Writes golden/*.json: the logits of the real PyTorch networks for seeded weights.

Weights are too large to commit, so this script and the Go tests make the same
ones from the same generator. Needs torch 2.13 and torchvision 0.28; for
efficientnet_lite0 also efficientnet-lite-pytorch 0.1.0, without which that one
is left out. Run it in this folder after a change of generator or networks.
"""

import json
import math
import pathlib

import numpy
import torch
import torchvision

GOLDEN = pathlib.Path(__file__).parent / "golden"
PICTURES = 2


def uniform(name, count):
    """count numbers in [0, 1): splitmix64 seeded with the FNV-1a hash of name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with numpy.errstate(over="ignore"):
        step = numpy.uint64(0x9E3779B97F4A7C15)
        z = numpy.uint64(seed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * step
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(40)).astype(numpy.float64) / 2**24


def weights(name, shape, network):
    """Values that keep activations near 1 and make no batch norm trivial."""
    u = uniform(network + "/" + name, math.prod(shape))
    if name.endswith("running_var"):
        v = 0.5 + u
    elif name.endswith("running_mean") or name.endswith("bias"):
        v = 0.6 * (u - 0.5)
    elif len(shape) == 1:
        v = 0.7 + 0.4 * u
    else:
        # Swish and squeeze-and-excitation let less through than ReLU.
        gain = 2.4 if network == "efficientnet_b0" else 2
        v = (2 * u - 1) * math.sqrt(3 * gain / math.prod(shape[1:]))
    return v.astype(numpy.float32).reshape(shape)


def picture(index, size=224, block=32):
    """[height, width, 3]: coloured squares with noise, about as varied as pictures are."""
    side = size // block
    squares = 4 * uniform(f"squares.{index}", side * side * 3).reshape(side, side, 3) - 2
    noise = uniform(f"noise.{index}", size * size * 3).reshape(size, size, 3) - 0.5
    return (squares.repeat(block, 0).repeat(block, 1) + noise).astype(numpy.float32)


def networks():
    for name in ["resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0"]:
        yield name, getattr(torchvision.models, name)()
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        return
    yield "efficientnet_lite0", EfficientNet.from_name("efficientnet-lite0")


def main():
    GOLDEN.mkdir(exist_ok=True)
    inputs = numpy.stack([picture(i) for i in range(PICTURES)]).transpose(0, 3, 1, 2)
    for name, network in networks():
        tensors, state = [], {}
        for key, value in network.state_dict().items():
            if value.dtype == torch.float32:
                tensors.append({"name": key, "shape": list(value.shape)})
                value = torch.from_numpy(weights(key, list(value.shape), name))
            state[key] = value
        network.load_state_dict(state)
        network.eval()
        with torch.no_grad():
            logits = network(torch.from_numpy(inputs.copy())).numpy()
        spread = numpy.linalg.norm(logits[0] - logits[1]) / numpy.linalg.norm(logits[0])
        print(f"{name}: largest logit {abs(logits).max():.3g}, two pictures differ by {spread:.2f}")
        out = {"architecture": name, "tensors": tensors, "logits": [[float(f"{v:.8g}") for v in row] for row in logits]}
        text = json.dumps(out, separators=(",", ":"))
        (GOLDEN / f"{name}.json").write_text(text.replace('{"name"', '\n{"name"').replace('"logits"', '\n"logits"').replace("],[", "],\n[") + "\n")


if __name__ == "__main__":
    main()
