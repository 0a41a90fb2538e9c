"""Several processes that train one net: who am I, and on what do we agree? With one process, all of it is plain."""

import os

import torch
import torch.distributed as dist


def join(device):
    """Become one of the processes that torchrun started; returns the device of this one. ValueError on MPS."""
    if device.type == "mps":
        raise ValueError("device 'mps' trains one process; under torchrun take 'cpu' or 'cuda'")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def leave():
    """Be one process again, if there were others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def ranks():
    """(world, rank): how many processes train together, and which one this is."""
    return (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)


def agree(*values):
    """The largest of each value over all processes, so that all do the same at the same step: floats in, floats out."""
    if ranks()[0] == 1:
        return values
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    largest = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest.tolist()


def only_first(action):
    """Call `action` in process 0 while the others wait; where it has a problem, all of them raise it.

    Returns what the action returns, in the others None. For files, which several processes must not make at once.
    """
    world, rank = ranks()
    result, failed = None, [None]
    if rank == 0:
        try:
            result = action()
        except Exception as error:
            failed = [error]
    if world > 1:
        dist.broadcast_object_list(failed, src=0)
    if failed[0] is not None:
        problem = failed[0]
        raise problem
    return result
