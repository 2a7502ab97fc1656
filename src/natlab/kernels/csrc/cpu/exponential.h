// exp and log in plain arithmetic, so that the compiler vectorises the loops that call them. (The C library's vector
// versions need -ffast-math, which breaks infinities.) Within 2 units in the last place, and as exact in vectors of
// every width.
#pragma once

#include <cstdint>
#include <limits>

#include "natlab.h"

namespace natlab {

// What differs between float and double: the bits of the format and how many terms of a series they need.
template <typename T>
struct Format;

template <>
struct Format<float> {
  using integer = int32_t;
  static constexpr int fraction_bits = 23;
  static constexpr integer bias = 127;
  static constexpr float rounder = 0x1.8p23f;      // x + rounder - rounder is x rounded to an integer
  static constexpr float ln2_high = 0x1.62e4p-1f;  // few enough bits for exact products with exponents
  static constexpr float ln2_low = 0x1.7f7d1cp-20f;
  static constexpr float least = -87.0f;     // exp of less is 0 here, of more it is a normal number
  static constexpr float greatest = 88.0f;   // exp of more is infinite here
  static constexpr int exp_terms = 7;        // (ln 2 / 2)^8 / 8! = 5e-9
  static constexpr int log_terms = 4;        // f^11 / 11, f = (sqrt 2 - 1) / (sqrt 2 + 1): 3e-10
};

template <>
struct Format<double> {
  using integer = int64_t;
  static constexpr int fraction_bits = 52;
  static constexpr integer bias = 1023;
  static constexpr double rounder = 0x1.8p52;
  static constexpr double ln2_high = 0x1.62e42feep-1;
  static constexpr double ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double least = -708.0;
  static constexpr double greatest = 709.0;
  static constexpr int exp_terms = 13;  // (ln 2 / 2)^14 / 14! = 4e-18
  static constexpr int log_terms = 10;  // f^23 / 23: 1e-19
};

// e^x; 0 below Format<T>::least (where the result would lose bits), infinite above Format<T>::greatest.
template <typename T>
inline T fast_exp(T x) {
  using F = Format<T>;
  using Integer = typename F::integer;
  const T within = x < F::least ? F::least : (x > F::greatest ? F::greatest : x);
  const T rounded = within * static_cast<T>(1.4426950408889634) + F::rounder;
  const T exponent = rounded - F::rounder;
  const T rest = (within - exponent * F::ln2_high) - exponent * F::ln2_low;
  T sum = 1;
#pragma GCC unroll 16
  for (int n = F::exp_terms; n > 0; --n) sum = sum * rest * (T(1) / T(n)) + 1;
  const Integer scale = (bits<Integer>(rounded) - bits<Integer>(F::rounder) + F::bias) << F::fraction_bits;
  const T value = sum * bits<T>(scale);
  return x < F::least ? T(0) : (x > F::greatest ? infinity<T> : value);
}

// Natural logarithm of a positive, finite, normal number; minus infinity for 0, nan for less and for nan.
template <typename T>
inline T fast_log(T x) {
  using F = Format<T>;
  using Integer = typename F::integer;
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)): the exponent of x / sqrt(1/2), rounded down
  const Integer offset = bits<Integer>(static_cast<T>(0.70710678118654752));
  const Integer above = (bits<Integer>(x) - offset) >> F::fraction_bits;
  const T m = bits<T>(bits<Integer>(x) - (above << F::fraction_bits));
  const T e = static_cast<T>(above);
  const T f = (m - 1) / (m + 1);  // log m = 2 artanh f
  const T square = f * f;
  T sum = 0;
#pragma GCC unroll 16
  for (int n = F::log_terms; n > 0; --n) sum = (sum + T(1) / T(2 * n + 1)) * square;
  const T value = e * F::ln2_high + (e * F::ln2_low + 2 * (f + f * sum));
  return x > 0 ? value : (x == 0 ? -infinity<T> : std::numeric_limits<T>::quiet_NaN());
}

}  // namespace natlab
