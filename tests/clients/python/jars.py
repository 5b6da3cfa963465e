"""Brings the jars of a list into a folder. A line of the list is a coordinate (group:artifact:version) and
the SHA-256 that the jar must have. The arguments are the list and the folder."""

import hashlib
import pathlib
import sys

from maven_artifact import Artifact, Downloader

listed, folder = map(pathlib.Path, sys.argv[1:])
for line in listed.read_text().splitlines():
    coordinate, expected = line.split()
    artifact = Artifact.parse(coordinate)
    jar = folder / f"{artifact.artifact_id}.jar"
    Downloader().download(artifact, str(jar))
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != expected:
        sys.exit(f"{coordinate} is not the one of {listed}: its SHA-256 is {found}")
