"""The release as a package of Debian: an `ar` archive of two tars, as deb(5) describes it.

Not by `dpkg-deb` or `cargo deb`: the tars are written as all archives here, so that the bytes do not depend on
the version of a tool, and the machine that releases need not be a Debian.
"""

import gzip
import hashlib

from .archive import Contents, fail, sha256

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Parts of the GNU C library, which all are in one package.
LIBC = ("libc.so.", "libm.so.", "libpthread.so.", "libdl.so.", "librt.so.", "libutil.so.", "ld-linux")

CONTROL = """\
Package: idiolect
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: libc6 (>= {libc})
Suggests: python3-pip
Section: text
Priority: optional
Description: local engine that writes as one particular person would
 Idiolect reads what many people wrote about the same things, finds what makes one
 person's writing different, and writes as that person would: a quantized language
 model, a sentence encoder and an index in one process, without a network.
 .
 Models are not part of this package: "idiolect models fetch" downloads them,
 and pip, if it is there, is one of its sources.
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: idiolect
Comment: Built from commit {commit}. The licences of all packages that are compiled
 into the program are in third-party.txt.gz, their list is in sbom.cdx.json.gz.

Files: *
Copyright: the authors of Idiolect
License: Apache-2.0
 The full text is in /usr/share/common-licenses/Apache-2.0.
"""

CHANGES = """\
idiolect ({version}) unstable; urgency=low

  * Built from commit {commit}; see CHANGELOG.md.gz.

 -- {maintainer}  {date}
"""


def packed(content):
    return gzip.compress(content if isinstance(content, bytes) else content.encode(), 9, mtime=0)


def copyright_file(made):
    return COPYRIGHT.format(commit=made.commit)


def changes(made, maintainer, date):
    return packed(CHANGES.format(version=made.version, commit=made.commit, maintainer=maintainer, date=date))


def md5(content):
    if isinstance(content, bytes):
        return hashlib.md5(content).hexdigest()
    with open(content, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def members(pairs, mtime):
    """An `ar` archive."""
    out = [b"!<arch>\n"]
    for name, content in pairs:
        out.append(f"{name:<16}{mtime:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
        out.append(content + b"\n" * (len(content) % 2))
    return b"".join(out)


def write(contents, made, maintainer, work, out):
    """Writes `contents`, files below the root folder, as a package."""
    foreign = [library for library in made.libraries if not library.startswith(LIBC)]
    if foreign:
        fail(f"no package is known that has {', '.join(foreign)}, which the program loads")
    control = Contents()
    control.add("control", CONTROL.format(
        version=made.version, architecture=ARCHITECTURES[made.machine], maintainer=maintainer, libc=made.libc,
        # One block for each folder.
        size=-(-contents.size() // 1024) + len(contents.folders())))
    control.add("md5sums", contents.sums(md5))
    parts = []
    for name, part in [("control.tar.gz", control), ("data.tar.gz", contents)]:
        part.write(".", made.seconds, work / name)
        parts.append((name, (work / name).read_bytes()))
    out.write_bytes(members([("debian-binary", b"2.0\n"), *parts], made.seconds))
    return sha256(out)
