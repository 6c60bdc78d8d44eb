"""What an error of a device means: its memory is full, or it is lost. It knows no model and no forward."""

import torch


def out_of_memory(error: BaseException) -> bool:
    """Accelerators have a type for it, but where a library's own allocation fails; the CPU's allocator raises a RuntimeError."""
    if isinstance(error, torch.AcceleratorError):
        return "out of memory" in str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)


def beyond_repair(error: BaseException) -> bool:
    """After most errors of an accelerator all further work of the process on it fails."""
    return isinstance(error, torch.AcceleratorError) and not out_of_memory(error)
