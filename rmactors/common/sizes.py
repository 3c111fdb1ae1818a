"""Numbers of bytes for people: in powers of ten, as disks are sold. Pure."""


def size(count: float) -> str:
    """`18.2 GB`; from 0 up."""
    if count < 1000:
        return f"{int(count)} B"
    left = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        left /= 1000
        if left < 999.5:
            return f"{left:.1f} {unit}" if left < 10 or (unit != "kB" and left < 100) else f"{left:.0f} {unit}"
    return f"{left / 1000:.0f} EB"
