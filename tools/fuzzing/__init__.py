"""Coverage-guided fuzzing of what reads other people's bytes, with atheris (libFuzzer).

* `targets`: one function a parser; it raises only where the parser breaks its promise.
* `decoding`: the decode path in its own process; its lines, too, guide the fuzzer.
* `seeds`: what to begin from: made on the fly, and small files of the collection of real videos where there is one.
* `fuzz`: one target until its time is over, in a process of its own (libFuzzer ends it).
* `__main__`: `make fuzz`, all targets one after another, and their figures.

What was found is kept in `test_targets`, as the bytes that did it.
"""
