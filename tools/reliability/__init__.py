"""Builds that are killed, starved and got in each other's way, and are right afterwards.

* `faults`: counts every operation on the file system below a folder (open, write, flush, fsync, rename, unlink, mkdir),
  and at one of them kills the whole process group, tears a write in two, or lets it fail with an errno.
* `builds`: the stages from manifest to commit as one function that a child process can run; the scenarios: a first
  build, a growing one, and one of a new version.
* `children`: child processes in groups of their own, forked from a server that has TensorFlow loaded, so that a build
  costs half a second and not ten.
* `invariants`: what must be true of a dataset on disk at any moment, and in the end.
* `campaign`: many kills, each followed by a check, a resumption and a comparison with an undisturbed build.

`python -m tools.reliability` (or `make reliability`) runs the whole campaign and prints its figures;
docs/RELIABILITY.md shows the last ones. The tests here run a bounded part of it.

To let another build be disturbed, give `Scenario` another source or other settings; to disturb it in another way, add a
kind to `faults.Fault`. Nothing here lists the files of a dataset: whatever a build writes is counted and compared.
"""
