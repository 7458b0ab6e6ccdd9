"""The compiler: importer, two IRs, passes, memory planning, backends; `pipeline` is the picture of it."""
