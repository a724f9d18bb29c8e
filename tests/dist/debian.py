"""The Debian package on a fresh Debian: python3 -B tests/dist/debian.py, or `make test-debian`.

In fresh roots (root.py) it is installed, an ordinary user chats in Emacs, it is upgraded while that goes on, removed, and installed
again. The package is the one in target/dist; with ORG_AGENT_PROGRAM one is made with that program, and with target/package. The
next version is made of the same parts. SUITE is the release of Debian, MIRROR where it comes from; --table writes the table of
docs/packages.md. What was fetched is kept in target/debian.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import root as roots
from root import HERE, Root, Terminal, call

REPOSITORY = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target").absolute()
CACHE = TARGET / "debian"
PAGE = REPOSITORY / "docs/packages.md"
BEGIN, END = "<!-- The test writes this table: make debian-table -->", "<!-- End of the table -->"
# What a step may take. It is not to be quick on this machine, but to take no minute on any.
MINUTE = 60
# An Emacs that loads no init file, and packages as one does that loads them.
EMACS = "emacs --batch --funcall package-activate-all"
REPLIES = (
    "(with-current-buffer (seq-find (lambda (buffer) (eq (buffer-local-value 'major-mode buffer) 'org-agent-chat-mode)) (buffer-list))"
    " (count-matches \"^\\\\*\\\\* ASSISTANT\" (point-min) (point-max)))")

steps = []


def holds(condition, what):
    """Gives up, and says WHAT, unless CONDITION is true."""
    if not condition:
        sys.exit(f"tests/dist/debian.py: {what}")


@contextlib.contextmanager
def step(what, held=True):
    """Measures WHAT. What is HELD must take no minute: all but fetching, what only this test does, and installing an Emacs."""
    begin = time.monotonic()
    yield
    seconds = time.monotonic() - begin
    steps.append((what, seconds, held))
    print(f"{seconds:6.1f} s  {what}", flush=True)


def following(version):
    """Returns the version after VERSION."""
    *rest, last = version.split(".")
    return ".".join([*rest, str(int(last) + 1)])


def renamed(package, version, new, out):
    """Writes to OUT the Emacs PACKAGE of VERSION as one of version NEW."""
    with tarfile.open(package) as source, tarfile.open(out, "w") as target:
        for member in source.getmembers():
            content = source.extractfile(member).read()
            if member.name.endswith(("/org-agent.el", "/org-agent-pkg.el")):
                before = (f";; Version: {version}" if member.name.endswith("/org-agent.el") else f'"{version}"').encode()
                holds(content.count(before) == 1, f"{member.name} says its version otherwise")
                content = content.replace(before, before.replace(version.encode(), new.encode()))
            member.name = member.name.replace(f"-{version}/", f"-{new}/", 1)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))


def packages(work):
    """Returns the version, the package, the next version, and its package."""
    version = re.search(r'^version = "(.*)"$', (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"), re.M).group(1)
    new = following(version)
    os.environ.setdefault("SOURCE_DATE_EPOCH", call("git", "-C", REPOSITORY, "log", "-1", "--format=%ct").strip())

    def make(version, program, emacs_package, licences):
        call("bash", REPOSITORY / "packaging/debian.sh", version, program, emacs_package, licences, work)
        return next(work.glob(f"org-agent_{version}_*.deb"))

    given = os.environ.get("ORG_AGENT_PROGRAM")
    if given:
        program, emacs_package, licences = work / "program", TARGET / f"package/org-agent-{version}.tar", work / "licences"
        call("strip", "-o", program, given)
        licences.write_text(call("python3", "-B", REPOSITORY / "packaging/third_party.py", "notices"), encoding="utf-8")
        old = make(version, program, emacs_package, licences)
    else:
        dist = TARGET / "dist"
        old, program = next(dist.glob(f"org-agent_{version}_*.deb"), None), next(dist.glob(f"org-agent-{version}-*-linux"), None)
        emacs_package, licences = dist / f"org-agent-{version}.tar", dist / f"org-agent-{version}-licences.txt"
        holds(old and program, f"there is no package of {version} in {dist}; run make dist")
    renamed(emacs_package, version, new, work / "new.tar")
    return version, old, new, make(new, program, work / "new.tar", licences)


def put(root, *files):
    """Copies FILES to where everybody can read them, and returns their names there."""
    for file in files:
        shutil.copyfile(file, root.path / "tmp" / file.name)
        (root.path / "tmp" / file.name).chmod(0o644)
    return [f"/tmp/{file.name}" for file in files]


def compiled(root, version):
    """Checks that the Emacs package is compiled, without a warning, and found by an Emacs of a user without any file."""
    place = f"/usr/share/emacs/site-lisp/elpa/org-agent-{version}"
    names = root.run(f"cd {place} && ls").split()
    for name in names:
        if name.endswith(".el") and not name.endswith(("-pkg.el", "-autoloads.el")):
            holds(f"{name}c" in names, f"{name} is not compiled in {place}")
    log = root.run(f"zcat {place}/Install.log.gz")
    holds(not re.search("warning|error", log, re.I), f"compiling says:\n{log}")
    form = '(progn (princ (commandp (quote org-agent-chat))) (princ (locate-library "org-agent")))'
    found = root.run(f"{EMACS} --eval '{form}'", root.USER)
    holds(found.strip().endswith(f"t{place}/org-agent.elc"), f"Emacs finds: {found}")


def look(root, version):
    """Looks at what was installed."""
    holds(root.run("org-agent --version", root.USER).startswith(f"org-agent {version}\n"), "--version says another one")
    doctor = root.run("org-agent doctor", root.USER)
    print("".join(f"          {line}\n" for line in doctor.splitlines()), end="")
    for page, words in (("org-agent", "verifier disposes"), ("org-agent-chat", "Chat in the terminal")):
        text = root.run(f"MANPAGER=cat MANWIDTH=200 man {page}", root.USER)
        holds(words in text and "SYNOPSIS" in text, f"man {page} prints: {text}")
    completion = (
        "source /usr/share/bash-completion/bash_completion; _completion_loader org-agent; complete -p org-agent;"
        " COMP_WORDS=(org-agent doc); COMP_CWORD=1; $(complete -p org-agent | grep -o '_[^ ]*') org-agent doc org-agent; echo \"${COMPREPLY[@]}\"")
    found = root.run(completion, root.USER).splitlines()
    holds(found[-1] == "doctor" and "org-agent" in found[0], f"bash completes: {found}")
    for line in root.run("dpkg --verify org-agent; dpkg -L org-agent").splitlines():
        holds((root.path / line.lstrip("/")).exists(), f"not as in the package: {line}")


def chat_in_batch(root):
    """Has one turn in an Emacs without a terminal."""
    put(root, REPOSITORY / "tests/emacs/demo.el")
    buffer = root.run(f"{EMACS} --load /tmp/demo.el", root.USER)
    holds(re.search(r"^\* USER\n(:.*\n)*Hello, who are you\?\n\*\* ASSISTANT\n(:.*\n)*Hello, .*the built-in responder", buffer, re.M),
          f"the chat was:\n{buffer}")
    return buffer


def say(terminal, text, replies):
    """Sends TEXT in the chat, and waits until there are REPLIES."""
    terminal.type(f"\x1b>{text}\x03\x03")
    terminal.until(f"a reply to {text}", lambda: terminal.ask(REPLIES) == str(replies))


def servers(root):
    """Returns the files that the running servers were started from."""
    return root.run("for place in /proc/[0-9]*; do readlink $place/exe || :; done | grep org-agent || :").splitlines()


def chat_in_terminal(root, terminal):
    """Starts the chat in an Emacs without any init file, and has a command run."""
    terminal.type("\x1bxorg-agent-chat\r")
    terminal.until("a chat", lambda: terminal.ask(REPLIES) == "0")
    say(terminal, "echo: before the upgrade", 1)
    terminal.type("\x1b>run: touch made\x03\x03")
    card = "(with-current-buffer (window-buffer) (and (org-agent--card-here) t))"
    terminal.until("a card", lambda: terminal.ask(card) == "t")

    # Who presses too early is told to read first.
    def approved():
        terminal.type("\x03\x19")
        time.sleep(1)
        return terminal.ask(card) == "nil"

    terminal.until("a card that is read", approved)
    terminal.until("the command's end", lambda: terminal.ask(REPLIES) == "2")
    holds((root.path / "home" / root.USER / "made").exists(), "the command did nothing")


def upgrade(root, package, version):
    """Installs a newer version while a server runs."""
    root.install(package)
    holds(version in root.run("dpkg-query -W org-agent"), "it was not upgraded")
    compiled(root, version)
    elpa = root.run("ls /usr/share/emacs/site-lisp/elpa /usr/share/emacs/site-lisp/elpa-src").split()
    holds([name for name in elpa if name.startswith("org-agent")] == [f"org-agent-{version}"] * 2, f"another version is left: {elpa}")


def go_on(root, terminal):
    """Goes on with the old server, then with the new one."""
    holds(servers(root) == ["/usr/bin/org-agent (deleted)"], f"servers: {servers(root)}")
    say(terminal, "echo: the old server, still", 3)
    terminal.type("\x1bxorg-agent-restart\r")
    terminal.until("a new server", lambda: servers(root) == ["/usr/bin/org-agent"])
    say(terminal, "history", 4)
    text = terminal.ask("(with-current-buffer (window-buffer) (buffer-substring-no-properties (point-min) (point-max)))")
    last = text.rsplit("** ASSISTANT", 1)[1]
    holds("before the upgrade" in last and "the old server, still" in last, f"the new server knows: {last}")
    terminal.leave()
    holds(re.fullmatch(r"\d+ events of 1 session are sound\n", root.run("org-agent session verify", root.USER)), "the log is not sound")


def later(root, log, version):
    """Comes back to the chat in a new Emacs."""
    terminal = Terminal(root, log)
    terminal.type("\x1bxorg-agent-chat\r")
    terminal.until("the new version's library",
                   lambda: f"org-agent-{version}/org-agent.elc" in terminal.ask("(symbol-file 'org-agent-chat)"))
    terminal.until("a chat", lambda: terminal.ask(REPLIES))
    terminal.leave()


def purge(root, before):
    """Removes everything, and compares with what was there BEFORE; returns what the user keeps."""
    root.run("apt-get purge -y --autoremove org-agent")
    after = root.listing()
    differences = [f"{name}: {before.get(name)} -> {after.get(name)}"
                   for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    holds(not differences, "left, gone or changed:\n" + "\n".join(differences))
    holds("org-agent" not in root.run("dpkg-query -W"), "dpkg still knows it")
    messages = root.run("emacs --batch --funcall package-activate-all --eval '(princ (fboundp (quote org-agent-chat)))' 2>&1", root.USER)
    # It always says which of Debian's own files it loads.
    holds([line for line in messages.splitlines() if not line.startswith("Loading /etc/emacs/")] == ["nil"], f"Emacs says: {messages}")
    return root.run("cd && find . -type f -path '*org-agent*'", root.USER).split()


def again(root, old, new, version):
    """Installs it again after a purge, and goes back to the older version, which apt does if it is told to."""
    root.install(new)
    holds("are sound" in root.run("org-agent session verify", root.USER), "the log is not sound")
    refusal = root.refused(f"apt-get install -y {old}")
    holds("downgrade" in refusal, f"apt says: {refusal}")
    root.run(f"apt-get install -y --allow-downgrades {old}")
    compiled(root, version)
    chat_in_batch(root)
    root.run("apt-get remove -y org-agent")
    holds(not list(root.path.glob("usr/share/emacs/site-lisp/elpa*/org-agent*")), "removing leaves it in Emacs")


def with_emacs(directory, archive, kept, made):
    """Everything, with an Emacs that was there before."""
    version, old, new_version, new = made
    with step("a fresh Debian with Emacs (`emacs-nox`), unpacked", held=False):
        root = Root(directory, archive, kept)
    try:
        old, new = put(root, old, new)
        with step("fetch bubblewrap and what else the package asks for", held=False):
            root.fetch(old)
        before = root.listing()
        with step("**install the package**, which compiles for Emacs"):
            root.install(old)
        with step("look at it: files, manual pages, completion, `org-agent doctor`"):
            compiled(root, version)
            look(root, version)
        with step("**chat in Emacs**, in batch: start, one message, its reply, end"):
            print(chat_in_batch(root))
        with step("chat in Emacs in a terminal: start, a message, a command that is approved"):
            terminal = Terminal(root, directory.parent / "screen")
            chat_in_terminal(root, terminal)
        with step("**upgrade** under a running chat"):
            upgrade(root, new, new_version)
        with step("go on with the old server, restart it, go on with the new one, check the log"):
            go_on(root, terminal)
        with step("come back to the chat in a new Emacs"):
            later(root, directory.parent / "screen", new_version)
        with step("**remove** all of it (`apt-get purge --autoremove`), and compare with before"):
            left = purge(root, before)
        print("the user keeps:\n" + "".join(f"  ~/{name.removeprefix('./')}\n" for name in left), end="")
        with step("install it again, go back to the older version, chat, remove"):
            again(root, old, new, version)
    finally:
        root.close()


def without_emacs(directory, archive, kept, made):
    """Without an Emacs and without bubblewrap, and an Emacs that comes later."""
    version, package = made[0], made[1]
    root = Root(directory, archive, kept)
    try:
        package, = put(root, package)
        root.fetch(f"emacs-nox lintian {package}")
        with step("install the package alone on another fresh Debian (`--no-install-recommends`), chat in the shell"):
            root.run(f"apt-get install -y --no-install-recommends {package}")
            holds("built-in responder" in root.run("org-agent chat Hello", root.USER), "no reply in the shell")
            look(root, version)
        with step("install Emacs (`emacs-nox`) afterwards, which compiles the package, too", held=False):
            root.install("emacs-nox", quickly=True)
        with step("chat in an Emacs that was installed afterwards, in batch"):
            compiled(root, version)
            chat_in_batch(root)
        with step("install lintian", held=False):
            root.install("lintian", quickly=True)
        with step("have lintian check the package"):
            # 2 says that it found something; older ones count what is overridden, too.
            found = root.run(f"lintian --show-overrides {package} || [ $? = 2 ]", root.USER)
            print(found)
            holds("malformed-contact" in found and not re.search("^[EW]:", found, re.M), "lintian found what is above")
    finally:
        root.close()


def table(suite, made):
    """Returns the table of what was measured."""
    size = made[1].stat().st_size / 1e6
    rows = [f"Debian `{suite}`, a package of {size:.1f} MB:", "", "| step | seconds | under a minute |", "|---|---:|---|"]
    rows += [f"| {what} | {seconds:.1f} | {'yes' if seconds < MINUTE else '**no**'} |" for what, seconds, held in steps if held]
    return "\n".join(rows)


def main():
    """Does it all, and prints the table."""
    if sys.argv[1:] not in ([], ["--table"]):
        sys.exit(__doc__)
    roots.need_root()
    suite = os.environ.get("SUITE") or "bookworm"
    work = CACHE / f"run-{suite}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    kept = CACHE / "packages" / suite
    try:
        with step("make the next version's package", held=False):
            made = packages(work)
        with step("make a root with debootstrap, or have one from an earlier run", held=False):
            archive = roots.base(CACHE, suite, os.environ.get("MIRROR"))
        with step("one with Emacs, or have that from an earlier run", held=False):
            with_one = roots.with_emacs(CACHE, suite, archive, kept)
        with_emacs(work / "root", with_one, kept, made)
        without_emacs(work / "root", archive, kept, made)
        written = table(suite, made)
    finally:
        shutil.rmtree(work)
    print(f"\n{written}")
    if sys.argv[1:]:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n\n{written}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")
    slow = [what for what, seconds, held in steps if held and seconds > MINUTE]
    holds(not slow, f"more than a minute: {', '.join(slow)}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.TimeoutExpired as late:
        sys.exit(f"tests/dist/debian.py: no end: {late.cmd}")
