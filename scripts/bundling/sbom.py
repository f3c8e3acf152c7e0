"""The list of what is in the program and in the bundle: a CycloneDX 1.6 document."""

import datetime
import hashlib
import json
import re
import uuid

from . import crates

ABOUT = "A local engine that writes as one particular person would"


def with_licence(component, expression):
    if expression:
        component["licenses"] = [{"expression": expression}]
    return component


def crate_component(crate):
    purl = f"pkg:cargo/{crate.name}@{crate.version}"
    component = {"type": "library", "bom-ref": purl, "name": crate.name, "version": crate.version}
    if crate.description:
        component["description"] = crate.description
    # Packages needed only to build are not part of what runs.
    component["scope"] = "excluded" if crate.is_build else "required"
    if crate.checksum:
        component["hashes"] = [{"alg": "SHA-256", "content": crate.checksum}]
    with_licence(component, crate.licence)
    # Our own crates are in no registry.
    if not crate.is_local:
        component["purl"] = purl
    if re.match(r"https?://[^\s]+$", crate.repository):
        component["externalReferences"] = [{"type": "vcs", "url": crate.repository}]
    return component


def sqlite_component(packages):
    """SQLite's sources are in a package of Rust; scanners look for it under its own name."""
    crate = next((crate for crate in packages if crate.name == "libsqlite3-sys"), None)
    if crate is None:
        return []
    header = (crate.folder / "sqlite3" / "sqlite3.h").read_text()
    version = re.search(r'^#define SQLITE_VERSION\s+"([\d.]+)"', header, re.MULTILINE)[1]
    component = {
        "type": "library",
        "bom-ref": f"pkg:generic/sqlite@{version}",
        "name": "sqlite",
        "version": version,
        "description": "SQL database, compiled from the sources in libsqlite3-sys",
        "scope": "required",
        "licenses": [{"license": {"name": "Public domain", "url": "https://sqlite.org/copyright.html"}}],
        "cpe": f"cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:generic/sqlite@{version}",
    }
    return [component]


def rust_component():
    version = crates.rust_version()
    component = {
        "type": "library",
        "bom-ref": f"pkg:generic/rust@{version}",
        "name": "rust-standard-library",
        "version": version,
        "description": "Standard library of Rust, linked into the program",
        "scope": "required",
        "purl": f"pkg:generic/rust@{version}",
    }
    return [with_licence(component, "MIT OR Apache-2.0")]


def page_components(packages):
    found = []
    for package in packages:
        purl = f"pkg:npm/{package['name'].replace('@', '%40')}@{package['version']}"
        component = {
            "type": "library",
            "bom-ref": purl,
            "name": package["name"],
            "version": package["version"],
            "description": "Part of the page of `idiolect serve`",
            "scope": "required",
        }
        found.append(with_licence(component, package["licence"]) | {"purl": purl})
    return found


def model_components(models):
    found = []
    for model in models:
        entry = model.entry
        files = [
            {
                "type": "file",
                "bom-ref": f"model:{entry['name']}/{name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for name, digest in sorted(model.hashes.items())
        ]
        about = f"{entry['architecture']}, {entry['parameters']} weights, {entry.get('quantization') or 'F32'}"
        component = {
            "type": "machine-learning-model",
            "bom-ref": f"model:{entry['name']}",
            "name": entry["name"],
            "description": f"{'Language model' if entry['kind'] == 'lm' else 'Sentence encoder'}: {about}",
            "scope": "required",
        }
        if re.fullmatch(r"(Apache-2\.0|MIT)", entry["licence"]):
            with_licence(component, entry["licence"])
        else:
            component["licenses"] = [{"license": {"name": entry["licence"]}}]
        found.append(component | {"components": files})
    return found


def document(root, packages, page, models, about):
    """The whole document; `about` has `version`, `time`, `commit`, `sha256` of the program, `features`, `target`."""
    ref = f"pkg:cargo/{root[0]}@{root[1]}"
    others = rust_component() + sqlite_component(packages) + page_components(page)
    model_list = model_components(models)
    dependencies = []
    for crate in packages:
        uses = [f"pkg:cargo/{name}@{version}" for name, version in crate.dependencies]
        if crate.key == root:
            uses += [component["bom-ref"] for component in others + model_list]
        dependencies.append({"ref": f"pkg:cargo/{crate.name}@{crate.version}", "dependsOn": uses})
    components = [crate_component(crate) for crate in packages if crate.key != root] + others + model_list
    program = {
        "type": "application",
        "bom-ref": ref,
        "name": crates.PROGRAM,
        "version": about["version"],
        "description": ABOUT,
        "hashes": [{"alg": "SHA-256", "content": about["sha256"]}],
        "licenses": [{"expression": "Apache-2.0"}],
        "properties": [
            {"name": f"{crates.PROGRAM}:{name}", "value": about[name]} for name in ("commit", "features", "target")
        ],
    }
    time = datetime.datetime.fromtimestamp(about["time"], datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "metadata": {"timestamp": time, "component": program},
        "components": components,
        "dependencies": dependencies,
    }
    # Equal contents get an equal number.
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    head = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
    }
    return head | body
