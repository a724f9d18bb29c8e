"""An Emacs in a terminal, and the one who sits before it."""

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import termios
import time

COLUMNS, ROWS = 120, 40

# How long anything is waited for before it is taken to hang.
HANG = 120

KEYS = b"the quick brown fox jumps over the lazy dog "


class Emacs:
    """One Emacs. Its terminal is a pseudo-terminal whose other end is this process: nothing is between."""

    def __init__(self, command, variables):
        listener = socket.create_server(("127.0.0.1", 0))
        variables = dict(os.environ, TERM="screen-256color", LANG="C.UTF-8", LC_ALL="C.UTF-8",
                         BENCH_PORT=str(listener.getsockname()[1]), **variables)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, variables)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.screen, self.unread, self.said = b"", b"", []
        listener.settimeout(HANG)
        try:
            self.line, _ = listener.accept()
        except TimeoutError:
            raise SystemExit(f"Emacs did not start; its terminal shows:\n{self.drawn()}") from None
        self.pressed, self.wrote = [], 0

    def drawn(self):
        """The last that was written to the terminal."""
        self.read(0)
        return self.screen[-4000:].decode(errors="replace")

    def read(self, seconds):
        """Takes what comes within SECONDS, from the terminal or by word."""
        line = getattr(self, "line", None)
        ready, _, _ = select.select([self.terminal] + [line] * bool(line), [], [], seconds)
        if self.terminal in ready:
            try:
                data = os.read(self.terminal, 1 << 16)
            except OSError:
                data = b""
            if not data:
                raise SystemExit("Emacs ended")
            self.screen = (self.screen + data)[-8000:]
        if line in ready:
            self.unread += line.recv(1 << 16)
            *lines, self.unread = self.unread.split(b"\n")
            self.said += [json.loads(words) for words in lines]

    def press(self, keys):
        """Presses KEYS: bytes as a terminal sends them."""
        os.write(self.terminal, keys)

    def until(self, what, typing=False, seconds=HANG):
        """Waits until Emacs says WHAT, and returns that; meanwhile presses a key ten times a second if TYPING."""
        end, following = time.monotonic() + seconds, time.monotonic() + 0.05
        while time.monotonic() < end:
            for words in self.said:
                if "problem" in words:
                    raise SystemExit(f"Emacs has a problem: {words['problem']}")
                if what in words:
                    self.said.remove(words)
                    return words
            if typing and time.monotonic() >= following:
                # Not in step with what comes ten times or a hundred times a second.
                following += 0.0983
                self.key()
            self.read(max(0, min(following if typing else end, end) - time.monotonic()))
        return None

    def key(self):
        """Presses one key and notes when."""
        key = KEYS[len(self.pressed) % len(KEYS)]
        self.pressed.append((time.time(), key))
        self.press(bytes([key]))

    def measure(self, order=None, seconds=None, probe=False):
        """What it took to answer ORDER, or else to type for SECONDS; with PROBE, with blocks."""
        self.press(b"\x1b[19~" + (order or "").encode())
        self.pressed = []
        self.press(b"\x1b[17~" if probe else b"\x1b[15~")
        if not self.until("begun"):
            raise SystemExit(f"no measurement began; the terminal shows:\n{self.drawn()}")
        if order:
            self.press(b"\x03\x03")
            result = self.until("wall", typing=True)
        else:
            self.until("wall", typing=True, seconds=seconds)
            self.press(b"\x1b[18~")
            result = self.until("wall")
        if not result:
            raise SystemExit(f"no end; the terminal shows:\n{self.drawn()}")
        # Keys that were pressed after the end are in neither.
        typed = bytes(key for _, key in self.pressed).decode()
        if not typed.startswith(result["typed"]) or len(result["typed"]) != len(result["keys"]):
            raise SystemExit(f"typed {typed!r}, but there is {result['typed']!r}")
        delays = [(there - pressed, any(pressed < end and there > begin for begin, end in result["collected"]))
                  for (pressed, _), there in zip(self.pressed, result["keys"])]
        result["delays"] = [delay for delay, _ in delays]
        result["undisturbed"] = [delay for delay, collected in delays if not collected]
        time.sleep(0.3)
        return result

    def end(self):
        """Ends it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)
        self.line.close()
