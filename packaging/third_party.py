"""What is built into the program: a bill of materials, and the licences.

    python3 packaging/third_party.py sbom      CycloneDX 1.5, as JSON
    python3 packaging/third_party.py notices   the texts of the licences

Both are made from `cargo metadata --locked` for the program of `make dist`, without what only tests and build scripts need. The same Cargo.lock
gives the same bytes; SOURCE_DATE_EPOCH is the only time in them.
"""

import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LICENCE_FILE = re.compile(r"^(un)?licen[cs]e|^copying|^copyright|^notice", re.IGNORECASE)


def metadata():
    cargo = os.environ.get("CARGO", "cargo")
    target = f"{platform.machine()}-unknown-linux-musl"
    command = [cargo, "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.check_output(command, cwd=ROOT))


class Graph:
    """The packages that are built in, and which of them needs which."""

    def __init__(self):
        data = metadata()
        packages = {package["id"]: package for package in data["packages"]}
        nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
        self.root = packages[data["resolve"]["root"]]
        self.needs = {}
        waiting = [self.root["id"]]
        while waiting:
            name = waiting.pop()
            if name in self.needs:
                continue
            self.needs[name] = [
                dependency["pkg"]
                for dependency in nodes[name]["deps"]
                if any(kind["kind"] is None for kind in dependency["dep_kinds"])
                and not is_macro(packages[dependency["pkg"]])
            ]
            waiting.extend(self.needs[name])
        self.packages = {name: packages[name] for name in self.needs}

    def others(self):
        others = [package for package in self.packages.values() if package["id"] != self.root["id"]]
        return sorted(others, key=lambda package: (package["name"], package["version"]))


def is_macro(package):
    """Macros run in the compiler; what they are made of is not in the program."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def licence(package):
    """The expression as SPDX has it; some packages still write a slash for OR."""
    return re.sub(r"\s*/\s*", " OR ", package["license"] or "NOASSERTION")


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def checksums():
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as lock:
        return {(package["name"], package["version"]): package.get("checksum") for package in tomllib.load(lock)["package"]}


def component(package, sums, kind="library"):
    found = {
        "type": kind,
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "licenses": [{"expression": licence(package)}],
        "purl": purl(package),
    }
    if package["description"]:
        found["description"] = " ".join(package["description"].split())
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return found


def sbom():
    graph, sums = Graph(), checksums()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    time = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": component(graph.root, sums, "application"),
        },
        "components": [component(package, sums) for package in graph.others()],
        "dependencies": [
            {
                "ref": purl(graph.packages[name]),
                "dependsOn": sorted({purl(graph.packages[need]) for need in needs}),
            }
            for name, needs in sorted(graph.needs.items(), key=lambda item: purl(graph.packages[item[0]]))
        ],
    }
    # The number of a bill is that of its contents.
    digest = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).digest()
    bill["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"
    return json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def texts(package):
    """The licences that lie in a package, by name."""
    directory = os.path.dirname(package["manifest_path"])
    names = sorted(name for name in os.listdir(directory) if LICENCE_FILE.match(name))
    found = []
    for name in names:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                found.append(file.read().replace("\r\n", "\n").strip("\n"))
    return found


def notices():
    graph = Graph()
    owners, without = {}, []
    for package in graph.others():
        label = f"{package['name']} {package['version']} ({licence(package)})"
        found = texts(package)
        if not found:
            without.append(f"{label}, by {', '.join(package['authors']) or package['repository']}")
        for text in found:
            owners.setdefault(text, []).append(label)
    line = "=" * 78
    with open(os.path.join(ROOT, "packaging", "notices.txt"), encoding="utf-8") as file:
        parts = [file.read().rstrip("\n")]
    parts.append("These packages bring no text of a licence of their own; that of their kind stands below:\n\n  " + "\n  ".join(without))
    for text, labels in sorted(owners.items(), key=lambda item: item[1]):
        parts.append(f"{line}\n" + "\n".join(labels) + f"\n{line}\n\n{text}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    kinds = {"sbom": sbom, "notices": notices}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    sys.stdout.write(kinds[sys.argv[1]]())
