#!/usr/bin/env python3
"""What a newcomer does, timed: from a clone in an empty home directory to a first reply, a skill of one's own and a chat in
Neovim.

    run.py REPOSITORY [--write FILE] [--built PROGRAM] [--neovim DIRECTORY]

Each command is printed with what it says, shortened, and with the time since the start; the first one that does not show what it
has to ends it all, with status 1. With --write the transcript is put into FILE, between the marks there: `make newcomer`.

To work on this script itself, --built takes a program that is there instead of a build, and --neovim a directory of editors that
tests/editors/get.sh made. That is no newcomer's time, so nothing is written then.

Python's own library is enough. Nothing of the caller's home is used but where the compiler is (RUSTUP_HOME), and nothing of the
caller's settings for org-agent.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BEGIN = "<!-- This command writes what follows: make newcomer -->"
END = "<!-- End of the transcript -->"

# Variables that would make it another machine than a newcomer's.
FOREIGN = re.compile(r"^(ORG_AGENT_|OPENAI_|MEMEX_|XDG_|CARGO_|MAKE|MFLAGS|EMACS|NVIM|VIM|GIT_|OLLAMA_)|_API_KEY$")

# Colours, and lines that were overwritten.
NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|^.*\r(?!$)", re.MULTILINE)


class Failed(Exception):
    """A step did not show what it has to."""


class Newcomer:
    """Somebody at a shell, with the time."""

    def __init__(self, home, repository):
        self.home = home
        self.repository = repository
        self.cwd = home
        self.lines = []
        self.env = {name: value for name, value in os.environ.items() if not FOREIGN.search(name)}
        rustup = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
        if rustup.is_dir():
            self.env["RUSTUP_HOME"] = str(rustup)
        # No server of this machine may answer in the place of the built-in responder.
        self.env.update(HOME=str(home), ORG_AGENT_LOCAL_PORTS="none", LC_ALL="C.UTF-8", TERM="dumb")
        self.start = time.monotonic()

    def since(self):
        """Minutes and seconds since the start."""
        seconds = int(time.monotonic() - self.start)
        return f"{seconds // 60}:{seconds % 60:02}"

    def say(self, line=""):
        """Put a line into the transcript."""
        self.lines.append(line)
        print(line, flush=True)

    def tidy(self, text):
        """What a command said, without what is of this machine only."""
        text = NOISE.sub("", text)
        # Which registry it is, is a matter of cargo's settings.
        text = re.sub(r"Updating \S+ index", "Updating the registry's index", text)
        for real, shown in ((self.repository, "REPOSITORY"), (str(self.home), "~"),
                            (self.env.get("RUSTUP_HOME", "\0"), "~/.rustup")):
            text = text.replace(os.path.realpath(real) if real.startswith("/") else real, shown).replace(real, shown)
        return text.rstrip().split("\n")

    def heading(self, text):
        """Begin a part."""
        if self.lines:
            self.say("```")
            self.say()
        self.say(f"### {text}")
        self.say()
        self.say("```console")

    def run(self, command, expected, head=4, tail=6, within=60, status=0, hidden=None):
        """Run COMMAND in bash; each regular expression of EXPECTED has to be found in what it says, and it has to end
        with STATUS. HIDDEN is run in its place where that is another one."""
        self.say("$ " + command.replace(self.repository, "REPOSITORY"))
        child = subprocess.Popen(["bash", "-euo", "pipefail", "-c", hidden or command], cwd=self.cwd, env=self.env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        try:
            output, _ = child.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            output, _ = child.communicate()
            output += f"\nit was stopped after {within} seconds".encode()
        lines = self.tidy(output.decode(errors="replace"))
        wrong = [f"{command!r} ended with {child.returncode}"] if child.returncode != status else []
        wrong += [f"{command!r} does not show {sign!r}" for sign in expected if not re.search(sign, "\n".join(lines))]
        if wrong:
            raise Failed("; ".join(wrong) + ". It said:\n" + "\n".join(lines))
        if len(lines) > head + tail + 1:
            lines = lines[:head] + [f"[… {len(lines) - head - tail} lines]"] + (lines[-tail:] if tail else [])
        for line in lines:
            if line or len(lines) > 1:
                self.say(line[:140] + ("…" if len(line) > 140 else ""))
        self.say(f"# {self.since()}")


def play(newcomer, built, neovim):
    """All of it, in order."""
    run = newcomer.run
    newcomer.heading("What is there")
    run("nproc; . /etc/os-release; echo $PRETTY_NAME; rustc --version; cc --version | head -n 1; "
        "command -v emacs >/dev/null && emacs --version | head -n 1 || echo no Emacs yet", [r"rustc \d"], head=9, tail=0)

    newcomer.heading("From the clone to the first reply")
    run(f"git clone {newcomer.repository} org-agent", [], within=600)
    newcomer.cwd = newcomer.home / "org-agent"
    run("git log -1 --format='%h %cs'", [r"^[0-9a-f]{7,} \d{4}-"])
    if built:
        target = newcomer.cwd / "target/release"
        target.mkdir(parents=True)
        shutil.copy(built, target / "org-agent")
    run("make chat </dev/null", [r"(?m)^\*\* ASSISTANT$", r"the built-in responder of org-agent"], head=3, tail=24,
        within=3600, hidden="make chat CARGO=true </dev/null" if built else None)

    newcomer.heading("In a terminal")
    newcomer.env["PATH"] = f"{newcomer.cwd}/target/release:" + newcomer.env["PATH"]
    newcomer.say('$ export PATH="$PWD/target/release:$PATH"')
    run("org-agent chat Hello", [r"the built-in responder of org-agent"])
    run("org-agent policy check 'rm -rf ~'", [r"(?m)^deny$"], status=1)

    newcomer.heading("The first skill")
    skill = "~/.config/org-agent/skills/haiku"
    run("org-agent skill new haiku", [r"(?m)^~/\.config/org-agent/skills/haiku\.org$"], head=20)
    run("org-agent chat haiku autumn", [r"(?m)^: Answer in one sentence: autumn$"], head=20)
    run(f"sed -i 's/Answer in one sentence/Answer as a haiku/' {skill}.org", [])
    run("org-agent skill test haiku", [r"1 of 3"], head=20, status=1)
    run(f"sed -i 's/Answer in one sentence/Answer as a haiku/' {skill}.test.toml", [])
    run("org-agent skill test haiku", [r"all 3 cases hold"], head=20)
    run("org-agent chat haiku autumn", [r"(?m)^: Answer as a haiku: autumn$"], head=20)

    newcomer.heading("The first chat in Neovim")
    if neovim:
        (newcomer.cwd / "target/editors").symlink_to(Path(neovim).resolve())
    run("make target/editors/nvim-0.11", [], within=600, hidden="true" if neovim else None)
    newcomer.env["PATH"] = f"{newcomer.home}/bin:" + newcomer.env["PATH"]
    run("mkdir -p ~/bin ~/.config/nvim/lua && ln -s $PWD/target/editors/nvim-0.11 ~/bin/nvim", [])
    newcomer.say('$ export PATH="$HOME/bin:$PATH"')
    run("nvim --version | head -n 1", [r"NVIM v0\.11"])
    run("cp examples/neovim/org-agent.lua ~/.config/nvim/lua/", [])
    run("echo \"require('org-agent').setup()\" > ~/.config/nvim/init.lua", [])
    newcomer.say("# What is typed in it: tests/newcomer/chat.lua")
    run("nvim --headless -c 'luafile tests/newcomer/chat.lua'",
        [r"(?m)^\*\* ASSISTANT$", r"(?m)^: Answer as a haiku: winter$"], head=40, within=120)
    newcomer.say("```")


def write(file, lines):
    """Put the transcript between the marks of FILE."""
    text = file.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    file.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def main():
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("repository", help="what is cloned: a path or a URL")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the transcript into FILE, between its marks")
    parser.add_argument("--built", metavar="PROGRAM", help="take this program instead of building one; writes nothing")
    parser.add_argument("--neovim", metavar="DIRECTORY", help="take the Neovim in this directory; writes nothing")
    asked = parser.parse_args()
    if asked.write and (asked.built or asked.neovim):
        parser.error("what was built before is no newcomer's time: without --write")
    repository = asked.repository
    if Path(repository).is_dir():
        repository = str(Path(repository).resolve())
    with tempfile.TemporaryDirectory(prefix="newcomer-") as home:
        newcomer = Newcomer(Path(home).resolve(), repository)
        try:
            play(newcomer, asked.built, asked.neovim)
        except Failed as failed:
            sys.exit(f"\nnewcomer: {failed}")
    if asked.write:
        write(asked.write, newcomer.lines)


if __name__ == "__main__":
    main()
