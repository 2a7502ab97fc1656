// Directed acyclic graphs: transitions in the layout that the recurrences read; see natlab/kernels/dag.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>

#include "natlab.h"

namespace natlab {

// Rows of a graph are packed, and taken by a step, this many at a time.
constexpr int64_t ROWS = 8;
// Rows of what is kept by vertex are this long or a multiple; as PADDING of natlab/kernels/dag_loss.py.
constexpr int64_t COLUMNS = 32;

// std::max by value, which vectorises.
template <typename T>
inline T greater_of(T a, T b) {
  return a > b ? a : b;
}

constexpr int64_t rounded(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

// Uninitialised memory for vectors of every width.
template <typename T>
class Buffer {
 public:
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(::operator new[](std::max<int64_t>(size, 1) * sizeof(T), std::align_val_t(64)))) {}
  T* get() { return data_.get(); }

 private:
  struct Free {
    void operator()(T* data) const { ::operator delete[](data, std::align_val_t(64)); }
  };
  std::unique_ptr<T[], Free> data_;
};

// A sentence's transitions as they came: rows of `stride`, dense (element j from i to j) or banded (element k to
// i + 1 + k).
template <typename T>
struct Graph {
  T* data;
  int64_t vertices, stride, reach;  // reach: how far a transition goes at most
  bool banded;

  // row(i)[j] is the transition from i to j
  T* row(int64_t i) const { return data + i * stride - (banded ? i + 1 : 0); }
  int64_t last(int64_t i) const { return std::min(i + reach, vertices - 1); }
};

// Sentence b's graph among transitions [batch, length, length], or [batch, length, band] where band is not 0. With more
// vertices than there is room for it is none.
template <typename T>
Graph<T> graph_of(T* transitions, int64_t b, int64_t length, int64_t band, int64_t vertices) {
  const int64_t stride = band ? band : length;
  const int64_t present = vertices <= length ? vertices : 0;
  return {transitions + b * length * stride, present, stride, band ? band : length - 1, band > 0};
}

// Packed transitions: ROWS rows at a time over the same columns, from the first of the rows on, with a neutral value
// where there is no transition. So a step runs over whole vectors, without conditions.
template <typename A>
struct Packed {
  A* data;
  int64_t vertices, reach, width;  // width: of a row in memory

  static int64_t width_of(int64_t length, int64_t band) {
    return rounded(band ? std::min(band + ROWS, length) : length, COLUMNS);
  }
  static int64_t size_of(int64_t length, int64_t band) { return rounded(length, ROWS) * width_of(length, band); }

  // The rows from i on, a multiple of ROWS; element r * width + c is the transition from i + r to i + c.
  const A* rows(int64_t i) const { return data + i * width; }
  // row(i)[j] is the transition from i to j
  const A* row(int64_t i) const { return data + i * width - i / ROWS * ROWS; }

  // How many of the columns of rows(i) hold anything, rounded up; the rest is not even initialised.
  int64_t columns(int64_t i) const { return rounded(std::min(vertices - i, reach + ROWS), COLUMNS); }
  // The same of the columns up to vertex `last`, within a row by vertex of `size`; a multiple of ROWS.
  int64_t columns(int64_t i, int64_t last, int64_t size) const {
    return std::min({columns(i), rounded(std::max<int64_t>(last + 1 - i, 0), ROWS), size - i});
  }
};

// Packs `graph` as function(transition), `neutral` elsewhere.
template <typename A, typename T, typename Function>
void pack(const Graph<const T>& graph, Packed<A>& packed, A neutral, Function&& function) {
  packed.vertices = graph.vertices;
  packed.reach = std::min(graph.reach, graph.vertices);
  for (int64_t i = 0; i < rounded(graph.vertices, ROWS); ++i) {
    const int64_t first = i / ROWS * ROWS;
    A* to = packed.data + i * packed.width - first;
    const int64_t start = i < graph.vertices ? i + 1 : first;
    const int64_t stop = i < graph.vertices ? graph.last(i) + 1 : first;
    const T* from = graph.row(i);
    std::fill(to + first, to + start, neutral);
#pragma omp simd
    for (int64_t j = start; j < stop; ++j) to[j] = function(from[j]);
    std::fill(to + stop, to + first + packed.columns(first), neutral);
  }
}

// Where token t of `targets` can be: from vertex `first` to `last`, both included.
struct Window {
  int64_t first, last;
};

// To reach the last vertex there must be a vertex left for each later token, and no more than they can cross.
inline Window window_of(int64_t t, int64_t targets, int64_t vertices, int64_t reach) {
  const int64_t later = targets - 1 - t;
  return {std::max(t, vertices - 1 - later * reach), std::min(t * reach, vertices - 1 - later)};
}

}  // namespace natlab
