"""Find the sockets on which a process listens, in /proc."""

from pathlib import Path

_LISTENING = "0A"
_LISTENING_UNIX = "01"


def process_listening_on(port: int) -> int:
    """Return the id of the process that listens on this port. It must be a process of this account, or we must be root."""
    inodes = {inode for found, inode in _tcp_listeners() if found == port}
    for folder in Path("/proc").glob("[0-9]*"):
        if inodes & _socket_inodes(folder):
            return int(folder.name)
    raise LookupError(port)


def listening_ports(pid: int) -> list[int]:
    inodes = _socket_inodes(Path(f"/proc/{pid}"))
    return sorted({port for port, inode in _tcp_listeners() if inode in inodes})


def listening_paths(pid: int) -> list[Path]:
    """Return the paths of the unix sockets on which the process listens."""
    inodes = _socket_inodes(Path(f"/proc/{pid}"))
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    named = sorted({row[7] for row in rows if len(row) == 8 and row[5] == _LISTENING_UNIX and row[6] in inodes})
    return [Path(f"/proc/{pid}/cwd").readlink() / name for name in named]


def _tcp_listeners() -> list[tuple[int, str]]:
    lines = [line for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    rows = [line.split() for line in lines]
    return [(int(row[1].rpartition(":")[2], 16), row[9]) for row in rows if row[3] == _LISTENING]


def _socket_inodes(folder: Path) -> set[str]:
    try:
        links = [str(link.readlink()) for link in (folder / "fd").iterdir()]
    except OSError:  # the process has ended, or belongs to another account
        return set()
    return {link[8:-1] for link in links if link.startswith("socket:[")}
