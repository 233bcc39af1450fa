"""EFFECT: in the client guest, as root: runs `usbip bind` or `usbip unbind` when the by-hand script asks over TCP.

It stands for a second terminal that is open already, so that no remote login is timed.
"""

import socket
import subprocess

PORT = 9001


def main() -> None:
    with socket.create_server(("", PORT)) as listening:
        while True:
            connection, _ = listening.accept()
            with connection, connection.makefile("rw", encoding="ascii") as talk:
                verb, busid = talk.readline().split()
                done = subprocess.run(["usbip", verb, "-b", busid], check=False, capture_output=True, text=True)
                print(done.returncode, done.stderr.replace("\n", " "), file=talk, flush=True)


if __name__ == "__main__":
    main()
