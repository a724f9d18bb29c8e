"""Checks what `make dist` wrote: python3 tests/dist/check.py DIRECTORY

Every checksum, the size of the program and what it is linked with, that no path of this machine is in it, what the Debian package
holds, the bill of materials, and the licences.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

MEGABYTES = 20


def run(*command):
    return subprocess.check_output(command, text=True)


def one(directory, pattern):
    names = [name for name in os.listdir(directory) if re.fullmatch(pattern, name)]
    assert len(names) == 1, f"{pattern}: {names}"
    return os.path.join(directory, names[0])


def checksums(directory):
    with open(os.path.join(directory, "SHA256SUMS"), encoding="utf-8") as file:
        sums = dict(reversed(line.split()) for line in file)
    assert set(sums) == set(os.listdir(directory)) - {"SHA256SUMS"}, sums
    for name, expected in sums.items():
        with open(os.path.join(directory, name), "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == expected, name


def program(path):
    assert os.access(path, os.X_OK)
    size = os.path.getsize(path)
    assert size < MEGABYTES * 1000 * 1000, f"{path} has {size} bytes"
    headers = run("objdump", "-p", path)
    assert "NEEDED" not in headers and "INTERP" not in headers, headers
    with open(path, "rb") as file:
        content = file.read()
    built = os.path.dirname(os.path.abspath(path))
    for place in {os.path.expanduser("~"), os.environ.get("CARGO_HOME"), os.getcwd(), built.removesuffix("/target/dist")}:
        assert not place or place == "/" or place.encode() not in content, f"{place} is in the program"
    facts = run(path, "--version")
    assert "\nprofile: release\n" in facts, facts
    assert ", linked statically\n" in facts, facts
    print(f"{size} bytes, linked statically")
    print(facts, end="")


def alone(path):
    """Where there is nothing but the program, it answers. Only root can make such a place."""
    if os.geteuid() != 0:
        print("not tried where there is nothing else: only root can")
        return
    with tempfile.TemporaryDirectory() as root:
        shutil.copy(path, f"{root}/org-agent")
        os.mkdir(f"{root}/tmp")
        answer = subprocess.check_output(
            ["/org-agent", "chat", "Hello"],
            text=True,
            env={"ORG_AGENT_HOME": "/tmp/home"},
            preexec_fn=lambda: (os.chroot(root), os.chdir("/")),
        )
        assert "built-in responder" in answer, answer
    print("it answers where there is nothing else")


def debian(path, binary, version):
    listing = run("dpkg-deb", "--contents", path)
    assert all(line.split()[1] == "root/root" for line in listing.splitlines()), listing
    assert len({" ".join(line.split()[3:5]) for line in listing.splitlines()}) == 1, "files of different times"
    control = run("dpkg-deb", "--field", path)
    for field in ("Package: org-agent", f"Version: {version}", "Recommends: bubblewrap", "Architecture: ", "Maintainer: ", "Description: "):
        assert f"\n{field}" in f"\n{control}", control
    with tempfile.TemporaryDirectory() as root:
        run("dpkg-deb", "--extract", path, root)
        with open(f"{root}/usr/bin/org-agent", "rb") as ours, open(binary, "rb") as theirs:
            assert ours.read() == theirs.read()
        for name in (
            "usr/share/man/man1/org-agent.1.gz",
            "usr/share/man/man1/org-agent-chat.1.gz",
            "usr/share/bash-completion/completions/org-agent",
            "usr/share/zsh/vendor-completions/_org-agent",
            "usr/share/fish/vendor_completions.d/org-agent.fish",
            "usr/share/info/org-agent.info.gz",
            "usr/share/doc/org-agent/copyright",
            "usr/share/doc/org-agent/changelog.gz",
            "usr/share/doc/org-agent/licences.txt.gz",
            f"usr/share/emacs/site-lisp/elpa-src/org-agent-{version}/org-agent.el",
            f"usr/share/emacs/site-lisp/elpa-src/org-agent-{version}/org-agent-pkg.el",
            f"usr/share/emacs/site-lisp/elpa-src/org-agent-{version}/org-agent-autoloads.el",
        ):
            assert os.path.getsize(f"{root}/{name}") > 0, name


def bill(path):
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    assert found["bomFormat"] == "CycloneDX" and found["specVersion"] == "1.5" and found["version"] >= 1
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found["serialNumber"])
    parts = [found["metadata"]["component"], *found["components"]]
    assert len(parts) > 100
    for part in parts:
        assert part["type"] in ("application", "library") and part["name"] and part["version"], part
        assert part["purl"] == part["bom-ref"] == f"pkg:cargo/{part['name']}@{part['version']}", part
        assert part["licenses"][0]["expression"] != "NOASSERTION", part
    for part in found["components"]:
        assert re.fullmatch("[0-9a-f]{64}", part["hashes"][0]["content"]), part
    references = [part["bom-ref"] for part in parts]
    assert len(set(references)) == len(references)
    assert sorted(node["ref"] for node in found["dependencies"]) == sorted(references)
    for node in found["dependencies"]:
        assert set(node["dependsOn"]) <= set(references), node
    return found


def licences(path, found):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for part in found["components"]:
        assert f"{part['name']} {part['version']} (" in text, part["name"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = sys.argv[1]
    checksums(directory)
    binary = one(directory, r"org-agent-[0-9.]+-[a-z0-9_]+-linux")
    version = re.search(r"org-agent-([0-9.]+)-", binary).group(1)
    program(binary)
    alone(binary)
    debian(one(directory, r"org-agent_.*\.deb"), binary, version)
    found = bill(one(directory, r"org-agent-.*\.cdx\.json"))
    licences(one(directory, r"org-agent-.*-licences\.txt"), found)
    one(directory, r"org-agent-[0-9.]+\.tar")
    print(f"{directory}: as it should be")


if __name__ == "__main__":
    main()
