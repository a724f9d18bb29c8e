"""Fresh roots of Debian, for debian.py.

A root is a copy of what debootstrap made, which is kept in a directory, with the packages that apt fetched. It is entered by
namespaces of its own: its mounts are seen in them only, and are gone with them, however this ends; a program in it dies
with them, too. It is no chroot, in which the kernel lets nobody be confined.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What is in every new root: what people have who installed Debian, but for what debootstrap gives anyway.
STANDARD = "man-db,bash-completion"
GUARD = 600
# Namespaces that end with this process, and with them what is in them. debootstrap mounts, too.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]

# Runs in the new namespaces: $1 is the root, $2 where packages are kept.
SETUP = r"""
set -e
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for name in null zero full random urandom tty; do
  : > "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/var/cache/apt/archives"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount --bind "$2" "$root/var/cache/apt/archives"
cd "$root"
pivot_root . mnt
exec chroot . /bin/sh -c 'umount -l /mnt && echo ready && { sleep infinity & wait; }'
"""


def call(*command, **options):
    """Returns what COMMAND printed; what went wrong is said with all of it."""
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        timeout=GUARD, check=False, **options)
    if done.returncode:
        sys.exit(f"{done.stdout}\ntests/dist: this failed with {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def base(cache, suite, mirror):
    """Returns an archive of a new root of SUITE, made at the first call."""
    archive = cache / f"{suite}.tar"
    if not archive.exists():
        made = cache / f"{suite}.new"
        shutil.rmtree(made, ignore_errors=True)
        call(*NAMESPACES, "--mount-proc", "debootstrap", "--variant=minbase", f"--include={STANDARD}", suite, made,
             *([mirror] if mirror else []))
        (cache / "packages" / suite / "partial").mkdir(parents=True, exist_ok=True)
        for package in (made / "var/cache/apt/archives").glob("*.deb"):
            package.rename(cache / "packages" / suite / package.name)
        call("tar", "-cf", f"{archive}.new", "--numeric-owner", "-C", made, ".")
        shutil.rmtree(made)
        Path(f"{archive}.new").rename(archive)
    return archive


class Root:
    """A fresh root in a directory, with its namespaces and an ordinary user."""

    USER = "ada"

    def __init__(self, directory, archive, packages):
        self.path = directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        packages.joinpath("partial").mkdir(parents=True, exist_ok=True)
        call("tar", "-xpf", archive, "--numeric-owner", "-C", directory)
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(f"/etc/{name}", directory / "etc" / name)
        self.holder = subprocess.Popen(
            [*NAMESPACES, "sh", "-c", SETUP, "sh", directory, packages],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            self.close()
            sys.exit("tests/dist: this machine does not let this user mount and make namespaces")
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text(encoding="ascii")
        self.inside = children.split()[0]
        self.run(f"id {self.USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {self.USER}")

    def words(self, command, user=None):
        """Returns the words that run COMMAND, for a shell, in this root, as root or as the ordinary USER that logged in."""
        enter = ["nsenter", "--target", self.inside, "--mount", "--pid", "--ipc", "--uts"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "TERM=xterm"]
        if user:
            return [*enter, *clean, "runuser", "--login", user, "--whitelist-environment=LANG", "--command", command]
        return [*enter, *clean, "HOME=/root", "bash", "-c", command]

    def run(self, command, user=None):
        """Runs COMMAND and returns what it printed; it must end well."""
        return call(*self.words(command, user), cwd="/", stdin=subprocess.DEVNULL)

    def refused(self, command, user=None):
        """Runs COMMAND and returns what it printed; it must fail."""
        done = subprocess.run(self.words(command, user), cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=GUARD, check=False)
        if not done.returncode:
            sys.exit(f"{done.stdout}\ntests/dist: this should have failed: {command}")
        return done.stdout

    def fetch(self, packages):
        """Has apt fetch PACKAGES and what they need, into what is kept."""
        fetch = f"apt-get install -y --download-only {packages}"
        # What a root that was kept knows of the mirror may be of yesterday.
        self.run(f"{fetch} || {{ apt-get update && {fetch}; }}")

    def install(self, packages, quickly=False):
        """Has apt install PACKAGES, which are there; QUICKLY if nobody measures it: nothing has to survive a power failure here."""
        return self.run(f"apt-get install -y {'-o DPkg::Options::=--force-unsafe-io ' if quickly else ''}{packages}")

    def listing(self):
        """Returns what stands where, but for the user's own, what is no file of this root, and what notes what was done."""
        skipped = ("./proc", "./dev", "./sys", "./mnt", "./tmp", "./home", "./var/log", "./var/cache", "./var/tmp", "./run",
                   "./var/lib/apt", "./usr/share/info/dir.old", "./var/lib/dpkg/status-old", "./var/lib/dpkg/status", "./var/lib/dpkg/lock")
        prune = " -o ".join(f"-path '{path}'" for path in skipped)
        found = self.run(f"cd / && find . \\( {prune} \\) -prune -o -printf '%p\\t%y\\t%m\\t%U\\t%l\\t%s\\n'")
        found = (line.split("\t") for line in found.splitlines())
        # The size of a directory says what was in it once.
        return {name: " ".join(facts if facts[0] != "d" else facts[:3]) for name, *facts in found}

    def close(self):
        """Ends all that runs in this root, and removes it."""
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.path)


def with_emacs(cache, suite, archive, packages):
    """Returns an archive of the root of ARCHIVE with an Emacs, made at the first call."""
    made = cache / f"{suite}-emacs.tar"
    if not made.exists():
        root = Root(cache / f"{suite}.new", archive, packages)
        try:
            root.fetch("emacs-nox")
            root.install("emacs-nox", quickly=True)
            # From outside, where its mounts are not seen.
            call("tar", "-cf", f"{made}.new", "--numeric-owner", "-C", root.path, ".")
        finally:
            root.close()
        Path(f"{made}.new").rename(made)
    return made


class Terminal:
    """An Emacs of the ordinary user of ROOT in a terminal, and who types there."""

    def __init__(self, root, log):
        self.root = root
        self.log = log
        with open(log, "wb") as screen:
            self.process = subprocess.Popen(
                root.words("script --quiet --command 'stty rows 40 cols 120; emacs --funcall server-start' /dev/null", root.USER),
                cwd="/", stdin=subprocess.PIPE, stdout=screen, stderr=subprocess.STDOUT)
        self.until("Emacs is there", lambda: self.ask("t") == "t")

    def type(self, text):
        """Presses the keys of TEXT."""
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def ask(self, form):
        """Returns what the value of FORM prints as; nothing if there is no answer."""
        done = subprocess.run(
            self.root.words(f"emacsclient --eval {quoted(form)}", self.root.USER), cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    def until(self, what, condition):
        """Waits until CONDITION returns something, and returns that."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        self.fail(f"in vain: {what}")
        return None

    def fail(self, what):
        """Says WHAT went wrong, and what was on the screen, and gives up."""
        screen = self.log.read_bytes()[-4000:].decode(errors="replace")
        sys.exit(f"{screen}\ntests/dist: {what}")

    def leave(self):
        """Leaves Emacs as a user does."""
        self.type("\x18\x03")
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.process.wait(60) == 0:
                return
        self.fail("Emacs does not end")


def quoted(text):
    """Returns TEXT as one word for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def need_root():
    """Gives up if this user is not root."""
    if os.geteuid() != 0:
        sys.exit("tests/dist: a root of Debian is made and entered by root only")
