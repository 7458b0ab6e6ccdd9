"""Machine code for x86-64 and aarch64, emitted as LLVM IR text."""
