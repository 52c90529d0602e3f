"""EFDN through this toolkit beside what people would use instead: `make bench`.

`rows` says what is compared, `files` makes the models that are needed, `budget` what
there is time and memory for, `run` measures with `engines.profiling`, `figures` draws
what readers want from it, `table` and `charts` show it.
"""
