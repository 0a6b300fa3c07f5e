NAMES: tuple[str, ...]
SUPPORTED: tuple[str, ...]

def simd_path() -> str: ...
