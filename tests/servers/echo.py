"""A small server for tests: answers at a socket file, leaves a file when it stops in good order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Listen until a signal comes; with `stubborn` no signal but SIGKILL ends it."""
    folder = Path(sys.argv[1])
    if "broken" in sys.argv:
        sys.exit("this server is broken")
    if "stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: stopped(folder))
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (folder / "child").write_text(str(child.pid))
    (folder / "socket").unlink(missing_ok=True)
    print(f"runs as {os.getuid()}", flush=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        while True:
            listener.accept()[0].close()


def stopped(folder: Path) -> None:
    """End in good order."""
    os.kill(int((folder / "child").read_text()), signal.SIGKILL)
    (folder / "stopped").touch()
    os._exit(0)


if __name__ == "__main__":
    main()
