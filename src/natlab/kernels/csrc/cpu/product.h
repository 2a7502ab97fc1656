// Matrix products of small blocks, kept in registers: what an op needs that must not write its products to memory.
#pragma once

#include <cstdint>

#include "natlab.h"

namespace natlab {

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, BLOCK_ROWS = 8;
#elif defined(__AVX2__)
constexpr int VECTOR_BYTES = 32, BLOCK_ROWS = 4;
#else
constexpr int VECTOR_BYTES = 16, BLOCK_ROWS = 4;
#endif

// Columns of a block: two vectors. With BLOCK_ROWS rows the sums fill half the registers.
template <typename T>
constexpr int64_t BLOCK_COLUMNS = 2 * VECTOR_BYTES / sizeof(T);

// Rows and columns of all matrices below are multiples of this.
constexpr int64_t PADDING = 32;

constexpr int64_t padded(int64_t size) { return (size + PADDING - 1) / PADDING * PADDING; }

// The left factor: element (i, p) is data[i * row + p * column].
template <typename T>
struct Left {
  const T* data;
  int64_t row, column;
};

// The right factor, in panels of BLOCK_COLUMNS columns: element (p, j) is
// data[j / BLOCK_COLUMNS * panel + p * row + j % BLOCK_COLUMNS]. A matrix in rows has panel = BLOCK_COLUMNS.
template <typename T>
struct Right {
  const T* data;
  int64_t panel, row;
};

// c (+)= a b, with c [m, n] in rows of c_row elements, a [m, k] and b [k, n]; m and n multiples of PADDING.
template <bool ADD, typename T>
void multiply(int64_t m, int64_t n, int64_t k, Left<T> a, Right<T> b, T* c, int64_t c_row) {
  typedef T Vector __attribute__((vector_size(VECTOR_BYTES), aligned(alignof(T)), may_alias));
  constexpr int64_t WIDTH = VECTOR_BYTES / sizeof(T);
  for (int64_t j = 0; j < n; j += BLOCK_COLUMNS<T>) {
    const T* panel = b.data + j / BLOCK_COLUMNS<T> * b.panel;
    for (int64_t i = 0; i < m; i += BLOCK_ROWS) {
      const T* left = a.data + i * a.row;
      Vector sum[BLOCK_ROWS][2];
#pragma GCC unroll 8
      for (int r = 0; r < BLOCK_ROWS; ++r) {
        T* to = c + (i + r) * c_row + j;
        sum[r][0] = ADD ? *reinterpret_cast<Vector*>(to) : Vector{};
        sum[r][1] = ADD ? *reinterpret_cast<Vector*>(to + WIDTH) : Vector{};
      }
      for (int64_t p = 0; p < k; ++p) {
        const Vector first = *reinterpret_cast<const Vector*>(panel + p * b.row);
        const Vector second = *reinterpret_cast<const Vector*>(panel + p * b.row + WIDTH);
#pragma GCC unroll 8
        for (int r = 0; r < BLOCK_ROWS; ++r) {
          const T factor = left[r * a.row + p * a.column];
          sum[r][0] += factor * first;
          sum[r][1] += factor * second;
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < BLOCK_ROWS; ++r) {
        T* to = c + (i + r) * c_row + j;
        *reinterpret_cast<Vector*>(to) = sum[r][0];
        *reinterpret_cast<Vector*>(to + WIDTH) = sum[r][1];
      }
    }
  }
}

}  // namespace natlab
