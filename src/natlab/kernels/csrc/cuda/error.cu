#include "natlab.h"

// What a status that no Error names means.
NATLAB_API const char* natlab_error(int status) { return cudaGetErrorString(static_cast<cudaError_t>(status)); }
