#!/usr/bin/python3
"""Takes orders of the test on a virtual serial port. Lines of words; `.` stands for nothing, the rest is base64.

Order: NUMBER STDIN PROGRAM ARGUMENT... Answer: NUMBER CODE STDOUT STDERR; the code of a process that a signal ended is 128
plus its number, as in a shell. At its start it says: boot ID.

(No JSON: Debian's python3-minimal has none.)
"""

import base64
import os
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/vm.guest"


def pack(data):
    return base64.b64encode(data).decode() or "."


def unpack(word):
    return b"" if word == "." else base64.b64decode(word)


def main():
    port = os.open(PORT, os.O_RDWR | os.O_CLOEXEC)
    lock = threading.Lock()

    def say(*words):
        # What a process before this one left half said ends with the first line end.
        data = ("\n" + " ".join(words) + "\n").encode()
        with lock:
            while data:
                data = data[os.write(port, data) :]

    def obey(number, stdin, *argv):
        try:
            done = subprocess.run([unpack(a) for a in argv], input=unpack(stdin), capture_output=True, cwd="/", check=False)
            code, out, err = done.returncode, done.stdout, done.stderr
        except (OSError, ValueError) as error:
            code, out, err = 127, b"", str(error).encode()
        say(number, str(128 - code if code < 0 else code), pack(out), pack(err))

    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        say("boot", file.read().strip())
    pieces = []
    while True:
        data = os.read(port, 65536)
        if not data:
            # Nobody is at the other end, which is said at once, over and over.
            time.sleep(0.1)
            continue
        # Pieces are put together once per line, for an order may be long.
        first, *others = data.split(b"\n")
        pieces.append(first)
        for other in others:
            words = b"".join(pieces).decode().split()
            pieces = [other]
            if len(words) >= 3:
                threading.Thread(target=obey, args=words, daemon=True).start()


main()
