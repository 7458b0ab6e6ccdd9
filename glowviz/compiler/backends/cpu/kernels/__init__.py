"""One file per kernel idea: a spec and a schedule in, LLVM text out."""
