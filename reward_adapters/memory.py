"""When a device has no room: one way to tell, for all judges with networks of their own. It knows no network."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device had no room."""
    import torch  # noqa: PLC0415 - takes seconds

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
