"""An engine to drive by hand: `lender.py BUSID VID PID SERIAL [CONSENT …] -- STEP …`, run as the user in the client.

Steps: `export` (a socket pair; the far end stays here), `hangup` (closes the far end), `wait` (prints the next answer),
`return`, `sleep SECONDS`, `die` (ends without a word). Prints each answer as it comes, then the helper's exit status.
"""

import array
import json
import os
import signal
import socket
import subprocess
import sys
import time

HELPER = "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux"


def main(words: list[str]) -> None:
    cut = words.index("--")
    (busid, vid, pid, serial, *consent), steps = words[:cut], words[cut + 1 :]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        helper = subprocess.Popen([HELPER, "lend"], stdin=theirs.fileno(), start_new_session=True)
    expect = {"vid": vid, "pid": pid, "serial": serial}
    ours.send(json.dumps({"v": 1, "busid": busid, "expect": expect, "consent": consent}).encode())
    ours.settimeout(20)
    far = None

    def hear() -> None:
        print(ours.recv(4096).decode() or "end", flush=True)

    hear()
    while steps:
        step = steps.pop(0)
        if step == "export":
            near, far = socket.socketpair()
            rights = array.array("i", [near.fileno()])
            ours.sendmsg([b'{"v":1,"op":"export"}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            near.close()
            hear()
            far.settimeout(5)
            print("line", far.recv(64).decode().strip(), flush=True)
        elif step == "hangup" and far is not None:
            far.close()
        elif step == "wait":
            hear()
        elif step == "return":
            ours.send(b'{"v":1,"op":"return"}')
            hear()
        elif step == "sleep":
            time.sleep(float(steps.pop(0)))
        elif step == "die":
            os.kill(os.getpid(), signal.SIGKILL)
    print("exit", helper.wait(10), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
