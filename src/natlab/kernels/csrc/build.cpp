#include "natlab.h"

// Part of every library: tells natlab.kernels.library from which sources and flags it was built.
NATLAB_API const char* natlab_build() { return NATLAB_HASH; }
