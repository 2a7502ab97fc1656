// The recurrence of best paths through a graph; see natlab/kernels/dag_best_path.py.
#pragma once

#include "dag.h"
#include "natlab.h"

namespace natlab {

// A sentence's best paths to each vertex: their scores and the vertices before, of token s and vertex w at
// w * targets + s and s * length + w. Emissions of a token lie emission_stride apart: 0 if all tokens' are the same.
template <typename T>
struct BestPaths {
  using Element = T;
  using Value = T;
  struct Sum {
    T best = -infinity<T>;
    int from = -1;
    __device__ void add(T x, T transition, int v) {
      const T score = x + transition;
      // of equals the first: they come in order
      if (score > best) best = score, from = v;
    }
  };
  static constexpr bool REVERSED = false;

  Graph<T> graph;
  const T* emissions;
  T* scores;
  int* predecessors;
  int vertices, tokens, reach, length, targets, emission_stride;

  __device__ T transition(int v, int w) const { return graph.at(v, w); }
  __device__ T transition_value(int, T stored) const { return stored; }
  __device__ T emission(int s, int w) const {
    return s < tokens && w < vertices ? emissions[static_cast<int64_t>(s) * emission_stride + w] : -infinity<T>;
  }
  __device__ T emission_value(int, int, T stored) const { return stored; }
  __device__ T state(int s, int v) const {
    return s >= 0 && s < tokens && v < vertices ? scores[static_cast<int64_t>(v) * targets + s] : -infinity<T>;
  }
  __device__ void keep(int s, int w, T x) { scores[static_cast<int64_t>(w) * targets + s] = x; }
  __device__ T value(int s, int w, const Sum& sum, T emitted) const {
    return (s ? sum.best : (w ? -infinity<T> : 0)) + emitted;
  }

  template <int R>
  __device__ void finish(int s0, int w0, int group, int lane, const Sum (&sums)[R][2], Shared<T, R>&) {
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int s = s0 + group + GROUPS * r, w = w0 + lane + LANES * half;
        if (s < tokens && w < vertices) predecessors[static_cast<int64_t>(s) * length + w] = sums[r][half].from;
      }
    }
  }

  // Writes the path that ends with token s at the last vertex, one thread's work.
  __device__ void walk_back(int s, int64_t* path) const {
    int at = vertices - 1;
    path[s] = at;
    for (; s > 0; --s) {
      at = predecessors[static_cast<int64_t>(s) * length + at];
      path[s - 1] = at;
    }
  }
};

}  // namespace natlab
