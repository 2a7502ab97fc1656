// What all kernels share: the C interface, the element types, and the choice of a template by a tensor's type.
//
// Every op is one function
//     NATLAB_API int natlab_<op>(..., int threads)        in csrc/cpu/<op>.cpp
//     NATLAB_API int natlab_<op>(..., void* stream)       in csrc/cuda/<op>.cu
// of raw pointers to contiguous tensors (null for None), int64_t for every integer (sizes, flags and the Type of a
// tensor's elements), and double. It returns 0, an Error below or, on CUDA, a cudaError_t.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define NATLAB_BOTH __host__ __device__
#else
#define NATLAB_BOTH
#endif

#define NATLAB_API extern "C" __attribute__((visibility("default")))

namespace natlab {

// torch's dtypes, as natlab.kernels.library numbers them
enum Type : int64_t { FLOAT32 = 0, FLOAT64 = 1, BFLOAT16 = 2, FLOAT16 = 3 };

// below 0, so that none is a cudaError_t
enum Error : int { UNSUPPORTED_TYPE = -1, UNSUPPORTED_SIZE = -2, BAD_LENGTH = -3 };

template <typename T>
constexpr T infinity = std::numeric_limits<T>::infinity();

#if defined(__CUDACC__)

using bfloat16 = __nv_bfloat16;
using float16 = __half;

#else

template <typename To, typename From>
inline To bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  std::memcpy(&result, &value, sizeof(To));
  return result;
}

// The upper half of a float; rounded to nearest, ties to even.
struct bfloat16 {
  uint16_t stored;

  bfloat16() = default;
  explicit bfloat16(float value) {
    const uint32_t whole = bits<uint32_t>(value);
    const uint32_t rounded = (whole + 0x7fffu + ((whole >> 16) & 1u)) >> 16;
    stored = static_cast<uint16_t>(value == value ? rounded : 0x7fc0u);
  }
  explicit operator float() const { return bits<float>(static_cast<uint32_t>(stored) << 16); }
};

// IEEE half precision; rounded to nearest, ties to even.
struct float16 {
  uint16_t stored;

  float16() = default;
  explicit float16(float value) {
    const uint32_t sign = (bits<uint32_t>(value) >> 16) & 0x8000u;
    uint32_t magnitude = bits<uint32_t>(value) & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {  // nan
      stored = static_cast<uint16_t>(sign | 0x7e00u);
    } else if (magnitude >= 0x477ff000u) {  // rounds to infinity: 65520 and more
      stored = static_cast<uint16_t>(sign | 0x7c00u);
    } else if (magnitude < 0x38800000u) {  // subnormal: the addition lets the hardware round
      const float shifted = bits<float>(magnitude) + 0.5f;
      stored = static_cast<uint16_t>(sign | (bits<uint32_t>(shifted) - 0x3f000000u));
    } else {
      magnitude += 0xc8000000u + 0xfffu + ((magnitude >> 13) & 1u);  // the exponent's bias less 112
      stored = static_cast<uint16_t>(sign | (magnitude >> 13));
    }
  }
  explicit operator float() const {
    const uint32_t sign = (stored & 0x8000u) << 16;
    const uint32_t magnitude = (stored & 0x7fffu) << 13;
    const bool special = magnitude >= 0x0f800000u;  // infinity or nan
    const float finite = bits<float>(magnitude) * 0x1p112f;
    return bits<float>(sign | (special ? magnitude | 0x7f800000u : bits<uint32_t>(finite)));
  }
};

#endif

// What a sum of T's is kept in.
template <typename T>
struct Accumulator {
  using type = float;
};
template <>
struct Accumulator<double> {
  using type = double;
};
template <typename T>
using accumulator = typename Accumulator<T>::type;

// An element as its accumulator, and back.
template <typename T>
NATLAB_BOTH inline accumulator<T> load(T value) {
  return static_cast<accumulator<T>>(value);
}
template <typename T>
NATLAB_BOTH inline T store(accumulator<T> value) {
  return static_cast<T>(value);
}

// function(T{}) for the element type that `type` names: `function` is a generic lambda returning a status.
template <typename Function>
int by_type(int64_t type, Function&& function) {
  switch (type) {
    case FLOAT32: return function(float{});
    case FLOAT64: return function(double{});
    case BFLOAT16: return function(bfloat16{});
    case FLOAT16: return function(float16{});
    default: return UNSUPPORTED_TYPE;
  }
}

// The same for the types that a result is accumulated and returned in.
template <typename Function>
int by_accumulator(int64_t type, Function&& function) {
  switch (type) {
    case FLOAT32: return function(float{});
    case FLOAT64: return function(double{});
    default: return UNSUPPORTED_TYPE;
  }
}

// Whether all lengths, on the CPU, lie within a tensor's size.
inline bool within(const int64_t* lengths, int64_t batch, int64_t size) {
  return std::all_of(lengths, lengths + batch, [=](int64_t length) { return 0 <= length && length <= size; });
}

}  // namespace natlab
