"""Work that is recorded once and repeated: as CUDA graphs on a GPU, as programs on a CPU."""
