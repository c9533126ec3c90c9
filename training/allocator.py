# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory of a CPU training: kept by the process from step to step."""

import ctypes
import platform

# Names and numbers of glibc's mallopt(3); both thresholds are C integers.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """
    Tells glibc to keep freed memory for the next tensor instead of returning it to the system.

    By default every large activation is mapped anew in each step, and the system clears its pages at first touch.

    Returns:
        Whether there is glibc to tell; elsewhere nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_INT) and mallopt(M_TRIM_THRESHOLD, LARGEST_INT))
