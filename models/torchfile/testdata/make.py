#!/usr/bin/env python3
"""Writes the .pth files of this folder with PyTorch: python make.py.

Element i of a tensor is i/4 - 1 unless said otherwise, which every float type holds exactly.
"""

import collections
import pathlib

import torch

HERE = pathlib.Path(__file__).parent


def counted(*shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    return (torch.arange(count) / 4 - 1).reshape(shape).to(dtype)


def state():
    both = counted(4, 3)
    return collections.OrderedDict(
        conv=counted(2, 3, 2, 2),
        half=counted(5, dtype=torch.float16),
        brain=counted(5, dtype=torch.bfloat16),
        double=counted(5, dtype=torch.float64),
        count=torch.tensor(7),
        scalar=torch.tensor(-1.0),
        empty=torch.zeros(0, 3),
        # The same elements in another order in memory.
        channels_last=counted(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        # Two tensors in one storage, the second from element 6 on.
        first=both[:2],
        second=both[2:],
        parameter=torch.nn.Parameter(counted(3)),
    )


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/executed",)


torch.save(state(), HERE / "zip.pth")
torch.save(state(), HERE / "stream.pth", _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "state_dict": {"module." + k: v for k, v in state().items()}}, HERE / "checkpoint.pth")
torch.save(torch.nn.Linear(2, 2).state_dict(), HERE / "metadata.pth")
torch.save({"weight": Evil()}, HERE / "code.pth")
torch.save({"weight": Evil()}, HERE / "code_stream.pth", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 2), HERE / "module.pth")
torch.save([1, 2, 3], HERE / "list.pth")
torch.save({"a": counted(2).to(torch.complex64)}, HERE / "complex.pth")
